// The list of conversations, kept up to date by what happens.
import { api, asRefusal, ok, type Conversation, type Refusal } from './api'
import { emptyFilter, placed, query, type Filter, type View } from './filter'
import { inOrder } from './overtaken'
import { stream, type Happened } from './stream.svelte'

const PAGE = 60
/** Events of one moment are answered by one question. */
const GATHER_MS = 60

/** What is known of a conversation, `null`: not to be seen; and by which question. */
type Known = { asked: number; it: Conversation | null }

class Inbox {
  filter = $state<Filter>(emptyFilter('chats'))
  items = $state.raw<Conversation[]>([])
  next = $state<string | null>(null)
  loading = $state(false)
  problem = $state.raw<Refusal | null>(null)
  /** Live chats in which somebody waits to be read. */
  waiting = $state(0)
  #turn = 0
  #asked = 0
  /** Questions up to this one were the person's before. */
  #forgotten = 0
  #touched = new Set<string>()
  #timer: ReturnType<typeof setTimeout> | undefined
  #known = new Map<string, Known>()

  constructor() {
    stream.on((event) => this.#happened(event))
    stream.onLive(() => void this.refresh())
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
    const [turn, asked] = [++this.#turn, this.ask()]
    this.loading = true
    try {
      const page = await ok(
        api.GET('/api/v1/conversations', { params: { query: { ...query(this.filter), limit: PAGE } } })
      )
      if (turn !== this.#turn) return
      const later = [...this.#known].filter(([, known]) => known.asked > asked)
      this.items = page.items
      this.next = page.next ?? null
      this.problem = null
      page.items.forEach((it) => this.#known.set(it.id, { asked, it }))
      later.forEach(([id, known]) => this.#place(id, known))
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
  get(id: string): Conversation | null {
    return this.#known.get(id)?.it ?? null
  }

  /** The number of a question that goes out now. Answers may overtake each other; the later question knows better. */
  ask(): number {
    return ++this.#asked
  }

  /** Takes what the question with this number found; answers what is known of the conversation now. */
  put(it: Conversation, asked: number): Conversation {
    const known = this.#known.get(it.id)
    if (known && known.asked > asked) return known.it ?? it
    this.#place(it.id, { asked, it })
    return it
  }

  #place(id: string, known: Known): void {
    if (known.asked <= this.#forgotten) return
    this.#known.set(id, known)
    this.items = known.it ? placed(this.items, known.it, this.filter) : this.items.filter((it) => it.id !== id)
  }

  count = inOrder(
    () =>
      api
        .GET('/api/v1/conversations', { params: { query: { live: true, archived: false, limit: 200 } } })
        .catch(() => null),
    (found) => {
      if (found?.data) this.waiting = found.data.items.filter((it) => it.unread > 0).length
    }
  )

  /** What one person saw is not for the next. */
  forget(): void {
    this.#turn += 1
    this.#forgotten = this.#asked
    clearTimeout(this.#timer)
    this.#touched.clear()
    this.#known.clear()
    this.count.forget()
    ;[this.items, this.next, this.waiting, this.loading] = [[], null, 0, false]
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
    const asked = this.ask()
    const answer = await api.GET('/api/v1/conversations/{id}', { params: { path: { id } } }).catch(() => null)
    if (answer?.data) this.put(answer.data, asked)
    else if (answer?.response.status === 404 && (this.#known.get(id)?.asked ?? 0) < asked)
      this.#place(id, { asked, it: null })
  }
}

export const inbox = new Inbox()
