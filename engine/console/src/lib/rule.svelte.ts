// One rule that is worked on: its text and its cases, what the server finds in them while one types, and what is done
// with it. Knows no screen.
import { api, asRefusal, ok, type Refusal, type Rule, type Schemas } from './api'

/** After so long without a key the text is checked and its cases are run. */
const PAUSE_MS = 350

export class RuleWork {
  known = $state.raw<Rule | null>(null)
  source = $state('')
  cases = $state('')
  check = $state.raw<Schemas['CheckView'] | null>(null)
  problem = $state.raw<Refusal | null>(null)
  #timer: ReturnType<typeof setTimeout> | undefined
  #turn = 0

  constructor(
    readonly mayWrite: boolean,
    begun: string
  ) {
    this.source = begun
  }

  get isChanged(): boolean {
    return !this.known || this.source !== this.#text(this.known) || this.cases !== (this.known.cases ?? '')
  }

  /** Is there anything that does not run yet? */
  get isAhead(): boolean {
    return this.isChanged || !!this.known?.draft || !this.known?.version
  }

  async open(id: string): Promise<void> {
    try {
      const rule = await ok(api.GET('/api/v1/rules/{id}', { params: { path: { id } } }))
      this.known = rule
      ;[this.source, this.cases] = [this.#text(rule), rule.cases ?? '']
      await this.ask()
    } catch (error) {
      this.problem = asRefusal(error)
    }
  }

  #text(rule: Rule): string {
    return rule.draft ?? rule.source
  }

  write(part: 'source' | 'cases', text: string): void {
    if (part === 'source') this.source = text
    else this.cases = text
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.ask(), PAUSE_MS)
  }

  /** What is wrong, and how the cases go. */
  async ask(): Promise<void> {
    if (!this.mayWrite) return
    const turn = ++this.#turn
    const body = { source: this.source, cases: this.cases || null }
    try {
      const check = await ok(api.POST('/api/v1/rules/check', { body }))
      if (turn === this.#turn) [this.check, this.problem] = [check, null]
    } catch (error) {
      if (turn === this.#turn) this.problem = asRefusal(error)
    }
  }

  problemsOf(part: 'source' | 'cases'): Schemas['FieldProblem'][] {
    return (this.check?.problems ?? []).filter((problem) => problem.pointer.startsWith(`/${part}`))
  }

  get failed(): Schemas['CaseView'][] {
    return (this.check?.cases ?? []).filter((it) => !it.passed)
  }

  /** Keeps text and cases as a draft. */
  async save(): Promise<void> {
    const body = { source: this.source, cases: this.cases || null }
    this.known = this.known
      ? await ok(api.PATCH('/api/v1/rules/{id}', { ...this.#at(), body }))
      : await ok(api.POST('/api/v1/rules', { body: { ...body, publish: false } }))
  }

  /** Publishes what is written, saving it first. */
  async publish(how: Schemas['Publication']): Promise<void> {
    if (this.isChanged) await this.save()
    this.known = await ok(api.POST('/api/v1/rules/{id}/publish', { ...this.#at(), body: how }))
  }

  async cancelPlan(): Promise<void> {
    this.known = await ok(api.DELETE('/api/v1/rules/{id}/publish', this.#at()))
  }

  async discard(): Promise<void> {
    this.known = await ok(api.DELETE('/api/v1/rules/{id}/draft', this.#at()))
    this.source = this.#text(this.known)
    await this.ask()
  }

  async rollBack(to: Schemas['RollBack']): Promise<void> {
    this.known = await ok(api.POST('/api/v1/rules/{id}/rollback', { ...this.#at(), body: to }))
    if (!this.known.draft) this.source = this.known.source
    await this.ask()
  }

  async resume(conversation?: string): Promise<void> {
    const body = { conversation: conversation ?? null }
    const params = { path: { id: this.#id() } }
    const after = await ok(api.POST('/api/v1/rules/{id}/resume', { params, body }))
    if ('revision' in after) this.known = after
  }

  async remove(): Promise<void> {
    await ok(api.DELETE('/api/v1/rules/{id}', this.#at()))
  }

  /** Forgets what was about to be asked. */
  leave(): void {
    clearTimeout(this.#timer)
    this.#turn++
  }

  #id(): string {
    return this.known?.id ?? ''
  }

  /** The rule as it was read: somebody else's change in between is not written over. */
  #at() {
    return { params: { path: { id: this.#id() } }, headers: { 'if-match': `"${this.known?.revision}"` } }
  }
}
