// One thing a person does: busy while it runs, with the refusal if there is one.
import { asRefusal, type Refusal } from './api'

export class Action<A extends unknown[]> {
  busy = $state(false)
  problem = $state.raw<Refusal | null>(null)
  #act: (...given: A) => Promise<unknown>

  constructor(act: (...given: A) => Promise<unknown>) {
    this.#act = act
  }

  /** True when it was done. */
  run = async (...given: A): Promise<boolean> => {
    if (this.busy) return false
    this.busy = true
    this.problem = null
    try {
      await this.#act(...given)
      return true
    } catch (error) {
      this.problem = asRefusal(error)
      return false
    } finally {
      this.busy = false
    }
  }
}
