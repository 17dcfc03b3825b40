// One conversation: its messages, what may be done to it, and its history.
import { api, asRefusal, ok, onceKey, type Conversation, type Message, type Refusal, type Schemas } from './api'
import { inbox } from './inbox.svelte'
import { merged } from './messages'
import { stream } from './stream.svelte'

const PAGE = 50
const GATHER_MS = 40
/** Threads that are kept after they were left, so that going back shows them at once. */
const KEPT_MAX = 20

type Timeline = Schemas['TimelineItem']
export type ActionBody = Partial<Schemas['Action']>

export class Thread {
  messages = $state.raw<Message[]>([])
  older = $state<string | null>(null)
  known = $state(false)
  problem = $state.raw<Refusal | null>(null)
  history = $state.raw<Timeline[] | null>(null)
  #conversation = $state.raw<Conversation | null>(null)
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(readonly id: string) {
    this.#conversation = inbox.get(id) ?? null
  }

  get conversation(): Conversation | null {
    const listed = inbox.items.find((it) => it.id === this.id)
    return listed ?? this.#conversation
  }

  /** Follows what happens; answers how to stop. */
  open(): () => void {
    void this.refresh()
    const stops = [
      stream.on((event) => {
        if (event.conversation !== this.id) return
        clearTimeout(this.#timer)
        this.#timer = setTimeout(() => void this.refresh(), GATHER_MS)
      }),
      stream.onReturn(() => void this.refresh())
    ]
    return () => {
      clearTimeout(this.#timer)
      stops.forEach((stop) => stop())
    }
  }

  refresh = async (): Promise<void> => {
    const path = { id: this.id }
    try {
      const [conversation, page] = await Promise.all([
        ok(api.GET('/api/v1/conversations/{id}', { params: { path } })),
        ok(api.GET('/api/v1/conversations/{id}/messages', { params: { path, query: { limit: PAGE, order: 'desc' } } }))
      ])
      this.#take(conversation)
      if (!this.known) this.older = page.next ?? null
      this.messages = merged(this.messages, page.items)
      this.known = true
      this.problem = null
      if (this.history) await this.tell()
    } catch (error) {
      this.problem = asRefusal(error)
    }
  }

  async earlier(): Promise<void> {
    if (!this.older) return
    const query = { limit: PAGE, order: 'desc', cursor: this.older }
    const asked = { params: { path: { id: this.id }, query } }
    const page = await ok(api.GET('/api/v1/conversations/{id}/messages', asked))
    this.older = page.next ?? null
    this.messages = merged(this.messages, page.items)
  }

  /** The history: events, and what the rules made of them. */
  async tell(): Promise<void> {
    const found: Timeline[] = []
    let cursor: string | undefined
    do {
      const query = { limit: 200, cursor }
      const asked = { params: { path: { id: this.id }, query } }
      const page = await ok(api.GET('/api/v1/conversations/{id}/timeline', asked))
      found.push(...page.items)
      cursor = page.next ?? undefined
    } while (cursor)
    this.history = found
  }

  async send(message: Partial<Schemas['NewMessage']>): Promise<void> {
    const [params, headers] = [{ path: { id: this.id } }, { 'idempotency-key': onceKey() }]
    try {
      const sent = await ok(
        api.POST('/api/v1/conversations/{id}/messages', { params, headers, body: message as Schemas['NewMessage'] })
      )
      if ('seq' in sent) this.messages = merged(this.messages, [sent])
    } catch (error) {
      void this.refresh() // what was refused stays visible as a failed message
      throw error
    }
  }

  async retry(id: string): Promise<void> {
    await ok(api.POST('/api/v1/messages/{id}/retry', { params: { path: { id } } }))
    await this.refresh()
  }

  async act(action: string, body: ActionBody = {}): Promise<void> {
    const params = { path: { id: this.id, action } }
    const after = await ok(api.POST('/api/v1/conversations/{id}/{action}', { params, body: body as Schemas['Action'] }))
    if ('contact' in after) this.#take(after)
  }

  async remove(): Promise<void> {
    await ok(api.DELETE('/api/v1/conversations/{id}', { params: { path: { id: this.id } } }))
  }

  #take(conversation: Conversation): void {
    this.#conversation = conversation
    inbox.put(conversation)
  }
}

const kept = new Map<string, Thread>()

export function thread(id: string): Thread {
  const it = kept.get(id) ?? new Thread(id)
  kept.delete(id)
  kept.set(id, it)
  const oldest = kept.keys().next().value
  if (kept.size > KEPT_MAX && oldest) kept.delete(oldest)
  return it
}

/** After signing out nothing of anybody's conversations stays. */
export function forgetThreads(): void {
  kept.clear()
}
