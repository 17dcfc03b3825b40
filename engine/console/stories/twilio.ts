// Twilio for browser stories: an API that takes messages and lists templates, and a customer whose messages are signed
// as Twilio signs them (HMAC-SHA1 over URL and sorted fields; twilio.com/docs/usage/security).
import { createHmac } from 'node:crypto'
import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const ACCOUNT = 'AC00000000000000000000000000000001'
const TOKEN = '0123456789abcdef0123456789abcdef'
const NUMBER = 'whatsapp:+14155238886'

export class Twilio {
  /** Forms of the messages that arrived here. */
  readonly sent: URLSearchParams[] = []
  /** What every message is refused with. */
  refuses: { code: number; message: string } | null = null
  #http: HttpServer
  #webhook = ''

  private constructor() {
    this.#http = createServer((request, response) => {
      let body = ''
      request.on('data', (piece) => (body += piece))
      request.on('end', () => {
        const [status, answer] = this.#answer(request.method ?? '', request.url ?? '', body)
        response.writeHead(status, { 'content-type': 'application/json' })
        response.end(JSON.stringify(answer))
      })
    })
  }

  static async start(): Promise<Twilio> {
    const it = new Twilio()
    await new Promise<void>((done) => it.#http.listen(0, '127.0.0.1', done))
    return it
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`
  }

  end(): void {
    this.#http.close()
    this.#http.closeAllConnections()
  }

  #answer(method: string, path: string, body: string): [number, unknown] {
    if (method === 'POST' && path.endsWith('/Messages.json')) {
      if (this.refuses) return [400, { ...this.refuses, more_info: '', status: 400 }]
      this.sent.push(new URLSearchParams(body))
      const sid = `SM${String(this.sent.length).padStart(32, '0')}`
      return [201, { sid, account_sid: ACCOUNT, status: 'queued', error_code: null, error_message: null }]
    }
    if (path.includes('/ContentAndApprovals'))
      return [200, { contents: TEMPLATES, meta: { next_page_url: null, key: 'contents' } }]
    if (path.includes('/v2/Channels/Senders')) return [200, { senders: SENDERS, meta: { next_page_url: null } }]
    if (path.includes(`/Accounts/${ACCOUNT}.json`))
      return [200, { sid: ACCOUNT, friendly_name: 'Stories', status: 'active' }]
    return [404, { code: 20404, message: 'The requested resource was not found', status: 404 }]
  }

  /** What the form of the connect wizard needs to know the account. */
  account(): Record<string, string> {
    return { 'Account SID': ACCOUNT, 'Auth token': TOKEN }
  }

  /** The body that connects a channel whose API is this one. */
  channel(name: string, group: string): object {
    return {
      provider: 'twilio',
      kind: 'whatsapp',
      name,
      default_group: group,
      active: true,
      allow_private_egress: true,
      settings: { account_sid: ACCOUNT, address: NUMBER, base_url: this.url },
      secrets: { auth_token: TOKEN }
    }
  }

  delivers(webhook: string): void {
    this.#webhook = webhook
  }

  /** A customer writes. */
  async say(phone: string, sid: string, text: string, name = 'Marta Vidal'): Promise<number> {
    const form: Record<string, string> = {
      AccountSid: ACCOUNT,
      ApiVersion: '2010-04-01',
      MessageSid: sid,
      SmsSid: sid,
      SmsMessageSid: sid,
      SmsStatus: 'received',
      NumMedia: '0',
      NumSegments: '1',
      From: `whatsapp:${phone}`,
      To: NUMBER,
      Body: text,
      WaId: phone.slice(1),
      ProfileName: name,
      MessageType: 'text'
    }
    const signed = Object.keys(form)
      .sort()
      .reduce((all, key) => all + key + form[key], this.#webhook)
    const signature = createHmac('sha1', TOKEN).update(signed).digest('base64')
    const headers = { 'x-twilio-signature': signature, 'content-type': 'application/x-www-form-urlencoded' }
    return (await fetch(this.#webhook, { method: 'POST', headers, body: new URLSearchParams(form) })).status
  }
}

const SENDERS = [NUMBER, 'whatsapp:+14155238890'].map((sender_id, index) => ({
  sid: `XE${String(index).padStart(32, '0')}`,
  sender_id,
  status: 'ONLINE',
  webhook: {}
}))

const template = (sid: string, name: string, language: string, status: string, body: string) => ({
  sid,
  account_sid: ACCOUNT,
  friendly_name: name,
  language,
  variables: { '1': 'Ana' },
  types: { 'twilio/text': { body } },
  approval_requests: { name, category: 'UTILITY', content_type: 'twilio/text', status, rejection_reason: '' },
  date_created: '2026-01-01T00:00:00Z',
  date_updated: '2026-01-01T00:00:00Z'
})

const TEMPLATES = [
  template('HX00000000000000000000000000000002', 'order_update', 'en', 'approved', 'Your order is on its way, {{1}}.'),
  template('HX00000000000000000000000000000001', 'follow_up', 'en', 'approved', 'Hello {{1}}, may we go on?'),
  template('HX00000000000000000000000000000003', 'spring_sale', 'en', 'rejected', 'Buy now, {{1}}!')
]
