// Something that is asked for: its answer, the refusal, or neither yet. Keeps the last answer while it asks again.
import { asRefusal, type Refusal } from './api'

export class Loaded<T> {
  data = $state.raw<T | null>(null)
  problem = $state.raw<Refusal | null>(null)
  loading = $state(false)
  #ask: () => Promise<T>
  #turn = 0

  constructor(ask: () => Promise<T>) {
    this.#ask = ask
    void this.refresh()
  }

  refresh = async (): Promise<void> => {
    const turn = ++this.#turn
    this.loading = true
    try {
      const data = await this.#ask()
      if (turn === this.#turn) [this.data, this.problem] = [data, null]
    } catch (error) {
      if (turn === this.#turn) this.problem = asRefusal(error)
    } finally {
      if (turn === this.#turn) this.loading = false
    }
  }
}
