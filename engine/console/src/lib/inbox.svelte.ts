// The list of conversations, kept up to date by what happens.
import { api, asRefusal, ok, type Conversation, type Refusal } from './api'
import { emptyFilter, placed, query, type Filter, type View } from './filter'
import { stream, type Happened } from './stream.svelte'

const PAGE = 60
/** Events of one moment are answered by one question. */
const GATHER_MS = 60

class Inbox {
  filter = $state<Filter>(emptyFilter('chats'))
  items = $state.raw<Conversation[]>([])
  next = $state<string | null>(null)
  loading = $state(false)
  problem = $state.raw<Refusal | null>(null)
  /** Live chats in which somebody waits to be read. */
  waiting = $state(0)
  #turn = 0
  #touched = new Set<string>()
  #timer: ReturnType<typeof setTimeout> | undefined
  #known = new Map<string, Conversation>()

  constructor() {
    stream.on((event) => this.#happened(event))
    stream.onReturn(() => void this.refresh())
  }

  show(view: View): void {
    if (this.filter.view !== view) this.choose(emptyFilter(view))
  }

  choose(filter: Filter): void {
    this.filter = filter
    this.items = []
    this.next = null
    void this.refresh()
  }

  refresh = async (): Promise<void> => {
    const turn = ++this.#turn
    this.loading = true
    try {
      const page = await ok(
        api.GET('/api/v1/conversations', { params: { query: { ...query(this.filter), limit: PAGE } } })
      )
      if (turn !== this.#turn) return
      this.items = page.items
      this.next = page.next ?? null
      this.problem = null
      page.items.forEach((it) => this.#known.set(it.id, it))
    } catch (error) {
      if (turn === this.#turn) this.problem = asRefusal(error)
    } finally {
      if (turn === this.#turn) this.loading = false
    }
    void this.count()
  }

  more = async (): Promise<void> => {
    if (!this.next || this.loading) return
    const turn = this.#turn
    this.loading = true
    try {
      const asked = { ...query(this.filter), limit: PAGE, cursor: this.next }
      const page = await ok(api.GET('/api/v1/conversations', { params: { query: asked } }))
      if (turn !== this.#turn) return
      const there = new Set(this.items.map((it) => it.id))
      this.items = [...this.items, ...page.items.filter((it) => !there.has(it.id))]
      this.next = page.next ?? null
    } catch (error) {
      this.problem = asRefusal(error)
    } finally {
      this.loading = false
    }
  }

  /** What is known about a conversation without asking. */
  get(id: string): Conversation | undefined {
    return this.#known.get(id)
  }

  put(it: Conversation): void {
    this.#known.set(it.id, it)
    this.items = placed(this.items, it, this.filter)
  }

  async count(): Promise<void> {
    const found = await api
      .GET('/api/v1/conversations', { params: { query: { live: true, archived: false, limit: 200 } } })
      .catch(() => null)
    if (found?.data) this.waiting = found.data.items.filter((it) => it.unread > 0).length
  }

  #happened(event: Happened): void {
    if (!event.conversation) return
    this.#touched.add(event.conversation)
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#look(), GATHER_MS)
  }

  async #look(): Promise<void> {
    const ids = [...this.#touched]
    this.#touched.clear()
    await Promise.all(ids.map((id) => this.#lookAt(id)))
    void this.count()
  }

  async #lookAt(id: string): Promise<void> {
    const answer = await api.GET('/api/v1/conversations/{id}', { params: { path: { id } } }).catch(() => null)
    if (answer?.data) this.put(answer.data)
    else if (answer?.response.status === 404) {
      this.#known.delete(id)
      this.items = this.items.filter((it) => it.id !== id)
    }
  }
}

export const inbox = new Inbox()
