// Who is signed in. The session itself is a cookie no script can read.
import { api, ok, useProof, whenSignedOut, type Schemas } from './api'
import { now } from './clock.svelte'
import { directory } from './directory.svelte'
import { inbox } from './inbox.svelte'
import { notices } from './notices.svelte'
import { setTenant } from './router.svelte'
import { stream } from './stream.svelte'
import { forgetThreads } from './thread.svelte'

class Session {
  me = $state.raw<Schemas['Me'] | null>(null)
  known = $state(false)

  constructor() {
    whenSignedOut(() => this.#forget())
  }

  get isAdmin(): boolean {
    return this.me?.role === 'admin' || this.me?.role === 'owner'
  }

  get isOwner(): boolean {
    return this.me?.role === 'owner'
  }

  get id(): string {
    return this.me?.user?.id ?? ''
  }

  /** Asks the server; null: nobody is signed in. */
  async look(): Promise<void> {
    const { data } = await api.GET('/api/v1/me').catch(() => ({ data: undefined }))
    this.known = true
    if (!data) return this.#forget()
    useProof(data.csrf)
    setTenant(data.tenant.id)
    now.set(data.now)
    this.me = data
    stream.start()
  }

  async signIn(given: Schemas['SignIn']): Promise<void> {
    await ok(api.POST('/api/v1/signin', { body: given }))
    await this.look()
  }

  async signOut(): Promise<void> {
    await ok(api.POST('/api/v1/signout'))
    this.#forget()
  }

  async setPresence(presence: string): Promise<void> {
    await ok(api.PUT('/api/v1/me/presence', { body: { presence } }))
    if (this.me?.user) this.me = { ...this.me, user: { ...this.me.user, presence } }
  }

  #forget(): void {
    useProof(null)
    stream.stop()
    forgetThreads()
    inbox.forget()
    directory.forget()
    notices.forget()
    this.me = null
  }
}

export const session = new Session()
