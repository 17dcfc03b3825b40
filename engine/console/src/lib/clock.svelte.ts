// The present, as the server has it, once a second for whatever counts down.
class Now {
  ms = $state(Date.now())
  #ahead = 0

  constructor() {
    setInterval(() => (this.ms = Date.now() + this.#ahead), 1000)
  }

  /** The server's clock counts, not this machine's. */
  set(server: string): void {
    this.#ahead = Date.parse(server) - Date.now()
    this.ms = Date.now() + this.#ahead
  }
}

export const now = new Now()
