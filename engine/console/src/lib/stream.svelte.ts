// What happens, as it happens. Comes back by itself after the last event it saw, so nothing is missed.
import { SseParser } from './sse'

export type Happened = {
  id: string
  at: string
  type: string
  conversation: string | null
  channel: string | null
  cause: { actor?: { kind: string; id?: string } }
  [more: string]: unknown
}

const PAUSE_MS = 500
const PAUSE_MS_MAX = 10_000
/** The server says something every 15 seconds; after this long it is gone. */
const SILENCE_MS_MAX = 40_000

class Stream {
  state = $state<'connecting' | 'live' | 'lost'>('connecting')
  #last: string | null = null
  #listeners = new Set<(event: Happened) => void>()
  #live = new Set<() => void>()
  #stop: AbortController | null = null

  /** Calls back for every event; answers how to stop. */
  on(listener: (event: Happened) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Calls back whenever the connection begins: what was asked for before may have changed unheard. */
  onLive(listener: () => void): () => void {
    this.#live.add(listener)
    return () => this.#live.delete(listener)
  }

  start(): void {
    this.#stop?.abort()
    this.#stop = new AbortController()
    void this.#run(this.#stop.signal)
  }

  stop(): void {
    this.#stop?.abort()
    this.#stop = null
    this.#last = null
  }

  async #run(stop: AbortSignal): Promise<void> {
    let failures = 0
    while (!stop.aborted) {
      const began = await this.#listen(stop).catch(() => false)
      if (stop.aborted) return
      failures = began ? 1 : failures + 1
      if (failures > 1) this.state = 'lost'
      const pause = Math.min(PAUSE_MS * 2 ** (failures - 1), PAUSE_MS_MAX)
      await waitFor(pause * (0.75 + Math.random() / 2), stop)
    }
  }

  /** True when the connection was made, however it ended. */
  async #listen(stop: AbortSignal): Promise<boolean> {
    const quiet = new AbortController()
    const headers: Record<string, string> = { accept: 'text/event-stream' }
    if (this.#last) headers['last-event-id'] = this.#last
    const response = await fetch('/api/v1/stream', { headers, signal: AbortSignal.any([stop, quiet.signal]) })
    if (!response.ok || !response.body) return false
    this.state = 'live'
    this.#live.forEach((tell) => tell())
    const parser = new SseParser()
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    let alarm = setTimeout(() => quiet.abort(), SILENCE_MS_MAX)
    try {
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return true
        clearTimeout(alarm)
        alarm = setTimeout(() => quiet.abort(), SILENCE_MS_MAX)
        for (const event of parser.push(value)) {
          this.#last = event.id ?? this.#last
          const happened = JSON.parse(event.data) as Happened
          this.#listeners.forEach((tell) => tell(happened))
        }
      }
    } catch {
      return true
    } finally {
      clearTimeout(alarm)
    }
  }
}

/** Waits, but not longer than until the network is back. */
function waitFor(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      removeEventListener('online', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    addEventListener('online', done)
    stop.addEventListener('abort', done, { once: true })
  })
}

export const stream = new Stream()
