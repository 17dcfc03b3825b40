// WAHA for browser stories: one session that moves when the story says so, its QR codes, and webhooks signed with the key
// that it was told when it was connected (HMAC-SHA512 of the body; waha.devlike.pro/docs/how-to/events).
import { createHmac } from 'node:crypto'
import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const API_KEY = 'stories-waha-key-0123456789'
const HOOK_KEY = 'stories-waha-hook-0123456789abcdef'
/** What the provider's form proposes. */
const SESSION = 'default'
const OWN = '34600000077@c.us'

type Status = 'STOPPED' | 'STARTING' | 'SCAN_QR_CODE' | 'WORKING' | 'FAILED'
type Webhook = { url: string; hmac?: { key?: string } }
type Session = { name: string; status: Status; me: unknown; config: { webhooks?: Webhook[] } }

export class Waha {
  /** How many QR codes there were. */
  codes = 0
  /** How often one was asked for. */
  asked = 0
  /** What was sent: endpoint and body. */
  readonly sent: { endpoint: string; body: Record<string, unknown> }[] = []
  #http: HttpServer
  #session: Session | null = null

  private constructor() {
    this.#http = createServer((request, response) => {
      let body = ''
      request.on('data', (piece) => (body += piece))
      request.on('end', () => {
        const isOurs = request.headers['x-api-key'] === API_KEY
        const [status, answer] = isOurs
          ? this.#answer(`${request.method} ${(request.url ?? '').split('?')[0]}`, body ? JSON.parse(body) : {})
          : [401, { message: 'Unauthorized', statusCode: 401 }]
        response.writeHead(status, { 'content-type': 'application/json' })
        response.end(JSON.stringify(answer))
      })
    })
  }

  static async start(): Promise<Waha> {
    const it = new Waha()
    await new Promise<void>((done) => it.#http.listen(0, '127.0.0.1', done))
    return it
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`
  }

  get status(): Status | null {
    return this.#session?.status ?? null
  }

  end(): void {
    this.#http.close()
    this.#http.closeAllConnections()
  }

  /** What the form of the connect wizard is filled with. */
  form(): Record<string, string> {
    return { 'WAHA address': this.url, 'API key': API_KEY }
  }

  /** The body that connects a channel to this server. */
  channel(name: string, group: string): object {
    return {
      provider: 'waha',
      kind: 'whatsapp',
      name,
      default_group: group,
      active: true,
      allow_private_egress: true,
      settings: { base_url: this.url, session: SESSION },
      secrets: { api_key: API_KEY, hmac_key: HOOK_KEY }
    }
  }

  /** The session moves and the webhook says so. */
  async becomes(status: Status): Promise<void> {
    const session = this.#session
    if (!session) throw new Error('the session was not started')
    session.status = status
    session.me = status === 'WORKING' ? { id: OWN, pushName: 'Ana' } : null
    if (status === 'SCAN_QR_CODE') this.codes += 1
    await this.#tell('session.status', { name: SESSION, status, statuses: [{ status, timestamp: Date.now() }] })
  }

  /** A customer writes. */
  async say(digits: string, id: string, text: string): Promise<void> {
    const from = `${digits}@c.us`
    const at = Math.floor(Date.now() / 1000)
    const message = { id: `false_${from}_${id}`, timestamp: at, from, fromMe: false, source: 'app', body: text }
    await this.#tell('message.any', { ...message, hasMedia: false })
  }

  /** A webhook that is signed and makes no sense. */
  async garble(): Promise<void> {
    await this.#post('{"event": ', `garbled_${this.codes}`)
  }

  async #tell(event: string, payload: Record<string, unknown>): Promise<void> {
    const id = `evt_${event}_${Date.now()}_${this.codes}`
    const body = JSON.stringify({
      id,
      timestamp: Date.now(),
      event,
      session: SESSION,
      me: this.#session?.me ?? null,
      payload,
      engine: 'GOWS',
      environment: { version: '2026.7.1', tier: 'CORE' }
    })
    await this.#post(body, id)
  }

  async #post(body: string, id: string): Promise<void> {
    const hook = this.#session?.config.webhooks?.[0]
    const headers = {
      'content-type': 'application/json',
      'x-webhook-hmac': createHmac('sha512', hook?.hmac?.key ?? '')
        .update(body)
        .digest('hex'),
      'x-webhook-hmac-algorithm': 'sha512',
      'x-webhook-request-id': id
    }
    const { status } = await fetch(hook?.url ?? '', { method: 'POST', headers, body })
    if (status !== 200) throw new Error(`the webhook was answered with ${status}`)
  }

  #answer(call: string, body: Record<string, unknown>): [number, unknown] {
    if (call === 'POST /api/sessions') {
      const status = body.start === true ? 'STARTING' : 'STOPPED'
      this.#session = { name: SESSION, status, me: null, config: body.config as Session['config'] }
      return [201, this.#session]
    }
    const session = this.#session
    if (!session) return [404, { statusCode: 404, message: 'Session not found', error: 'Not Found' }]
    const action = /^POST \/api\/sessions\/default\/(start|stop|restart|logout)$/.exec(call)?.[1]
    if (action) {
      session.status = action === 'stop' ? 'STOPPED' : 'STARTING'
      session.me = null
      return [201, session]
    }
    const isScanning = session.status === 'SCAN_QR_CODE'
    switch (call) {
      case 'GET /api/sessions/default':
        return [200, session]
      case 'PUT /api/sessions/default':
        session.config = body.config as Session['config']
        return [200, session]
      case 'GET /api/default/auth/qr':
        this.asked += 1
        return isScanning
          ? [200, { value: `2@code-${this.codes},AbCdEf==,GhIjKl==` }]
          : [422, { error: 'Session status is not as expected', status: session.status }]
      case 'POST /api/default/auth/request-code':
        return isScanning ? [201, { code: 'ABCD-EFGH' }] : [422, { status: session.status }]
      case 'GET /api/default/profile':
        return [200, { id: OWN, name: 'Ana of Support', picture: null }]
      default:
        this.sent.push({ endpoint: call.split('/').at(-1) ?? '', body })
        return [201, { id: `true_x@c.us_3EB0${String(this.sent.length).padStart(16, '0')}`, _data: {} }]
    }
  }
}
