// The phone that a channel is linked to: how it is, and the code that has to be scanned now.
import { api, asRefusal, ok, type Refusal, type Schemas } from './api'
import { stream } from './stream.svelte'

type Session = Schemas['SessionView']
export type Task = 'start' | 'stop' | 'restart' | 'logout'

/** How long a code is shown before the next is asked for, as the API says of codes: they live for 20 s at least. */
export const CODE_MS = 15_000
const GATHER_MS = 80

export class Phone {
  session = $state.raw<Session | null>(null)
  problem = $state.raw<Refusal | null>(null)
  /** Something is being done to it. */
  busy = $state(false)
  /** An address of this page that holds the picture; null: there is none, or it is too old. */
  code = $state<string | null>(null)
  codeProblem = $state.raw<Refusal | null>(null)
  /** When the next code is asked for, this machine's time. */
  nextAt = $state(0)
  #asked = 0
  #answered = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #news: ReturnType<typeof setTimeout> | undefined

  constructor(readonly channel: string) {}

  get wantsCode(): boolean {
    return this.session?.state === 'needs_qr'
  }

  /** Follows what happens; answers how to stop. */
  open(): () => void {
    void this.refresh()
    const stops = [
      stream.on((event) => {
        if (event.channel !== this.channel || !/^channel\.(session|state)_changed$/.test(event.type)) return
        clearTimeout(this.#news)
        this.#news = setTimeout(() => void this.refresh(), GATHER_MS)
      }),
      stream.onLive(() => void this.refresh())
    ]
    return () => {
      clearTimeout(this.#news)
      stops.forEach((stop) => stop())
      this.#forget()
    }
  }

  /** Asks how it is now. Nothing waits for it, so it takes no button away from who is about to press it. */
  refresh = async (): Promise<void> => {
    const asked = ++this.#asked
    try {
      const session = await ok(api.GET('/api/v1/channels/{id}/session', { params: { path: { id: this.channel } } }))
      if (asked < this.#answered) return // a later question was answered first
      ;[this.#answered, this.session, this.problem] = [asked, session, null]
    } catch (error) {
      this.problem = asRefusal(error)
    }
    if (this.wantsCode) await this.draw()
    else this.#forget()
  }

  /** Does it, then asks how it is. */
  async act(task: Task): Promise<void> {
    const path = { id: this.channel }
    const asked = {
      start: () => api.POST('/api/v1/channels/{id}/session/start', { params: { path } }),
      stop: () => api.POST('/api/v1/channels/{id}/session/stop', { params: { path } }),
      restart: () => api.POST('/api/v1/channels/{id}/session/restart', { params: { path } }),
      logout: () => api.POST('/api/v1/channels/{id}/session/logout', { params: { path } })
    }
    this.busy = true
    try {
      await ok(asked[task]())
      // Whatever was asked meanwhile may have been answered from before it.
      await this.refresh()
    } catch (error) {
      this.problem = asRefusal(error)
    } finally {
      this.busy = false
    }
  }

  /** A code to type on the phone instead. */
  async pairing(phone: string): Promise<string> {
    const params = { path: { id: this.channel } }
    return (await ok(api.POST('/api/v1/channels/{id}/session/pairing-code', { params, body: { phone } }))).code
  }

  /** Asks for the code that is to be scanned now. */
  draw = async (): Promise<void> => {
    clearTimeout(this.#timer)
    try {
      const params = { path: { id: this.channel } }
      const png = await ok(api.GET('/api/v1/channels/{id}/qr', { params, parseAs: 'blob' }))
      this.#show(URL.createObjectURL(png as unknown as Blob))
      this.codeProblem = null
    } catch (error) {
      this.#show(null)
      this.codeProblem = asRefusal(error)
    }
    if (!this.wantsCode) return
    this.nextAt = Date.now() + CODE_MS
    this.#timer = setTimeout(() => void this.draw(), CODE_MS)
  }

  #forget(): void {
    clearTimeout(this.#timer)
    this.#show(null)
    this.codeProblem = null
  }

  #show(code: string | null): void {
    if (this.code) URL.revokeObjectURL(this.code)
    this.code = code
  }
}
