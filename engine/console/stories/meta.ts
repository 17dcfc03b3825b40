// Meta for browser stories: a Graph API that lists one template with a picture above its text, takes files and messages.
// Shapes: developers.facebook.com/docs/whatsapp (cloud-api, business-management-api/message-templates).
import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const NUMBER_ID = '106540352242922'
const ACCOUNT_ID = '102290129340398'

const TEMPLATES = [
  {
    id: '21',
    name: 'new_season',
    language: 'en',
    status: 'APPROVED',
    category: 'MARKETING',
    parameter_format: 'POSITIONAL',
    components: [
      { type: 'HEADER', format: 'IMAGE' },
      { type: 'BODY', text: 'Look at what is new, {{1}}.' }
    ]
  }
]

type Sent = {
  to: string
  template: {
    name: string
    components: { type: string; parameters: { type: string; text?: string; image?: { id: string } }[] }[]
  }
}

export class Meta {
  /** Messages that arrived here. */
  readonly sent: Sent[] = []
  /** Files that were uploaded, in the forms that they came in. */
  readonly uploads: Buffer[] = []
  #http: HttpServer

  private constructor() {
    this.#http = createServer((request, response) => {
      const pieces: Buffer[] = []
      request.on('data', (piece: Buffer) => pieces.push(piece))
      request.on('end', () => {
        const path = (request.url ?? '').split('?')[0] ?? ''
        const [status, answer] = this.#answer(`${request.method} ${path}`, Buffer.concat(pieces))
        response.writeHead(status, { 'content-type': 'application/json' })
        response.end(JSON.stringify(answer))
      })
    })
  }

  static async start(): Promise<Meta> {
    const it = new Meta()
    await new Promise<void>((done) => it.#http.listen(0, '127.0.0.1', done))
    return it
  }

  end(): void {
    this.#http.close()
    this.#http.closeAllConnections()
  }

  #answer(call: string, body: Buffer): [number, unknown] {
    if (call.endsWith(`/${ACCOUNT_ID}/message_templates`)) return [200, { data: TEMPLATES, paging: {} }]
    if (call.endsWith(`/${NUMBER_ID}/media`)) return [200, { id: `90${this.uploads.push(body)}` }]
    if (call.endsWith(`/${NUMBER_ID}/messages`)) {
      const id = `wamid.OUT${this.sent.push(JSON.parse(body.toString()))}`
      return [200, { messaging_product: 'whatsapp', messages: [{ id }] }]
    }
    return [400, { error: { message: 'Unsupported request', type: 'GraphMethodException', code: 33 } }]
  }

  /** The body that connects a channel whose API is this one. */
  channel(name: string, group: string): object {
    return {
      provider: 'meta-cloud',
      kind: 'whatsapp',
      name,
      default_group: group,
      active: true,
      allow_private_egress: true,
      settings: {
        phone_number_id: NUMBER_ID,
        business_account_id: ACCOUNT_ID,
        base_url: `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`
      },
      secrets: { access_token: 'EAAbrowserstories', app_secret: '0f1e2d3c4b5a6978', verify_token: 'stories-verify' }
    }
  }
}
