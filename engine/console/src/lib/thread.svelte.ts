// One conversation: its messages, what may be done to it, and its history.
import { api, asRefusal, ok, onceKey, type Conversation, type Message, type Refusal, type Schemas } from './api'
import { inbox } from './inbox.svelte'
import { merged } from './messages'
import { inOrder } from './overtaken'
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
  /** The message that the next answer quotes. */
  quoting = $state.raw<Message | null>(null)
  #conversation = $state.raw<Conversation | null>(null)
  #deleted = new Set<string>()
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(readonly id: string) {
    this.#conversation = inbox.get(id)
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
        if (event.type === 'message.deleted') this.#drop(String(event.message))
        clearTimeout(this.#timer)
        this.#timer = setTimeout(() => void this.refresh(), GATHER_MS)
      }),
      stream.onLive(() => void this.refresh())
    ]
    return () => {
      clearTimeout(this.#timer)
      stops.forEach((stop) => stop())
    }
  }

  refresh = async (): Promise<void> => {
    try {
      await Promise.all([this.#readMessages(), this.#readConversation()])
      this.problem = null
      if (this.history) await this.tell()
    } catch (error) {
      this.problem = asRefusal(error)
    }
  }

  /** Shown as soon as they are there: the list knows enough of the conversation until the rest comes. */
  #readMessages = inOrder(
    () => {
      const params = { path: { id: this.id }, query: { limit: PAGE, order: 'desc' as const } }
      return ok(api.GET('/api/v1/conversations/{id}/messages', { params }))
    },
    (page) => {
      if (!this.known) this.older = page.next ?? null
      this.#merge(page.items)
      this.known = true
    }
  )

  async #readConversation(): Promise<void> {
    const asked = inbox.ask()
    this.#take(await ok(api.GET('/api/v1/conversations/{id}', { params: { path: { id: this.id } } })), asked)
  }

  /** Reads it before it is opened, when somebody is about to. */
  async expect(): Promise<void> {
    if (!this.known) await this.#readMessages().catch(() => {})
  }

  async earlier(): Promise<void> {
    if (!this.older) return
    const query = { limit: PAGE, order: 'desc', cursor: this.older }
    const asked = { params: { path: { id: this.id }, query } }
    const page = await ok(api.GET('/api/v1/conversations/{id}/messages', asked))
    this.older = page.next ?? null
    this.#merge(page.items)
  }

  /** The history: events, and what the rules made of them. */
  tell = inOrder(
    async () => {
      const found: Timeline[] = []
      let cursor: string | undefined
      do {
        const query = { limit: 200, cursor }
        const asked = { params: { path: { id: this.id }, query } }
        const page = await ok(api.GET('/api/v1/conversations/{id}/timeline', asked))
        found.push(...page.items)
        cursor = page.next ?? undefined
      } while (cursor)
      return found
    },
    (found) => (this.history = found)
  )

  async send(message: Partial<Schemas['NewMessage']>): Promise<void> {
    const [params, headers] = [{ path: { id: this.id } }, { 'idempotency-key': onceKey() }]
    try {
      const sent = await ok(
        api.POST('/api/v1/conversations/{id}/messages', { params, headers, body: message as Schemas['NewMessage'] })
      )
      // The stream may have told more of it already.
      if ('seq' in sent && !this.messages.some((it) => it.id === sent.id)) this.#merge([sent])
    } catch (error) {
      void this.refresh() // what was refused stays visible as a failed message
      throw error
    }
  }

  async retry(id: string): Promise<void> {
    await ok(api.POST('/api/v1/messages/{id}/retry', { params: { path: { id } } }))
    await this.refresh()
  }

  /** Deletes a message that failed, for everybody. */
  async discard(id: string): Promise<void> {
    await ok(api.DELETE('/api/v1/messages/{id}', { params: { path: { id } } }))
    this.#drop(id)
  }

  async act(action: string, body: ActionBody = {}): Promise<void> {
    const asked = inbox.ask()
    const params = { path: { id: this.id, action } }
    const after = await ok(api.POST('/api/v1/conversations/{id}/{action}', { params, body: body as Schemas['Action'] }))
    if ('contact' in after) this.#take(after, asked)
  }

  /** Asks the channel's assistant for mood and summary; they are kept with the conversation. */
  async ask(): Promise<void> {
    const asked = inbox.ask()
    const params = { path: { id: this.id } }
    const after = await ok(api.POST('/api/v1/conversations/{id}/insights', { params, body: {} }))
    if ('contact' in after) this.#take(after, asked)
  }

  /** Asks the channel's assistant for a draft. It goes nowhere. */
  async suggest(): Promise<Schemas['Suggestion']> {
    const params = { path: { id: this.id } }
    return await ok(api.POST('/api/v1/conversations/{id}/suggest', { params, body: {} }))
  }

  async remove(): Promise<void> {
    await ok(api.DELETE('/api/v1/conversations/{id}', { params: { path: { id: this.id } } }))
  }

  /** A deleted message stays away, though an answer that was under way still has it. */
  #drop(id: string): void {
    this.#deleted.add(id)
    this.#merge([])
  }

  #merge(fresh: Message[]): void {
    this.messages = merged(this.messages, fresh).filter((message) => !this.#deleted.has(message.id))
  }

  #take(conversation: Conversation, asked: number): void {
    this.#conversation = inbox.put(conversation, asked)
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
