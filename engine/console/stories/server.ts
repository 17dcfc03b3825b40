// The system under test: the real binary on SQLite with a data directory of its own, seen from outside only.
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test as base, expect, type Browser, type Locator, type Page } from '@playwright/test'

const ROOT = resolve(import.meta.dirname, '../../..')
const BINARY = process.env.POINTSMAN_BIN ?? join(ROOT, 'target/debug/pointsman')
const PLUGINS = process.env.POINTSMAN_PLUGINS ?? join(ROOT, 'target/plugins')
/** Longer than a cold start of a debug build, which compiles the plugins. */
const READY_MS_MAX = 90_000

export const OWNER = { name: 'Ana García', email: 'ana@example.com', password: 'correct horse' }

export class Server {
  url = ''
  ownerLink = ''
  chatLink = ''
  readonly dir = mkdtempSync(join(tmpdir(), 'pointsman-browser.'))
  #process: ChildProcess | null = null
  #clock = join(this.dir, 'clock')

  async start(port = 0): Promise<this> {
    const env = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !name.startsWith('POINTSMAN_') && name !== 'DATABASE_URL')
    )
    // The key and cache of the other stories, so that plugins are compiled once and not at every start.
    const own = {
      POINTSMAN_MASTER_KEY: 'c3RvcmllcyBvbmx5LCBuZXZlciBmb3IgYW55IGRhdGE=',
      POINTSMAN_PLUGINS__CACHE_DIR: join(ROOT, 'target/debug/story-plugin-cache'),
      POINTSMAN_TEST_CLOCK: this.#clock
    }
    const args = ['serve', '--listen', `127.0.0.1:${port}`, '--data', join(this.dir, 'data'), '--plugins', PLUGINS]
    const child = spawn(BINARY, args, { env: { ...env, ...own }, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#process = child
    let [out, log] = ['', '']
    child.stderr.on('data', (piece) => (log = (log + piece).slice(-20_000)))
    await new Promise<void>((done, fail) => {
      const late = setTimeout(() => fail(new Error(`the server does not start:\n${log}`)), READY_MS_MAX)
      child.once('exit', (code) => fail(new Error(`the server ended with ${code}:\n${log}`)))
      child.stdout.on('data', (piece) => {
        out += piece
        this.url = /listening on (\S+)/.exec(out)?.[1] ?? this.url
        this.ownerLink = /owner link: (\S+)/.exec(out)?.[1] ?? this.ownerLink
        this.chatLink = /webchat link: (\S+)/.exec(out)?.[1] ?? this.chatLink
        if (out.includes('listening on ') && (this.chatLink || this.ownerLink === '')) {
          clearTimeout(late)
          done()
        }
      })
    })
    return this
  }

  /** Down at once, as when the power goes; comes back on the same address. */
  async restart(meanwhile: () => Promise<void>): Promise<void> {
    const port = Number(new URL(this.url).port)
    await this.kill()
    await meanwhile()
    await this.start(port)
  }

  async kill(): Promise<void> {
    const child = this.#process
    this.#process = null
    if (!child || child.exitCode !== null) return
    child.removeAllListeners('exit')
    const gone = new Promise((done) => child.once('exit', done))
    child.kill('SIGKILL')
    await gone
  }

  async end(): Promise<void> {
    await this.kill()
    rmSync(this.dir, { recursive: true, force: true })
  }

  /** Lets time pass for the server; it knows when this is done. */
  async advance(ms: number): Promise<void> {
    let soFar = 0
    try {
      soFar = Number(readFileSync(this.#clock, 'utf8'))
    } catch {
      soFar = 0
    }
    const told = String(soFar + ms)
    writeFileSync(`${this.#clock}.new`, told)
    renameSync(`${this.#clock}.new`, this.#clock)
    const seen = () => (existsSync(`${this.#clock}.seen`) ? readFileSync(`${this.#clock}.seen`, 'utf8') : '')
    await expect.poll(seen).toBe(told)
  }
}

type Fixtures = { owner: Page }

/** One server per worker; `owner` is a page of its signed-in owner. */
export const test = base.extend<Fixtures, { server: Server }>({
  server: [
    async ({}, use) => {
      const server = await new Server().start()
      await use(server)
      await server.end()
    },
    { scope: 'worker', timeout: READY_MS_MAX }
  ],
  owner: async ({ server, page }, use) => {
    await signInAsOwner(server, page)
    await use(page)
  }
})

export { expect }

/** Makes the owner with the link the first time, signs in after that. */
export async function signInAsOwner(server: Server, page: Page): Promise<void> {
  await page.goto(server.ownerLink)
  const create = page.getByRole('heading', { name: 'Create the owner' })
  await expect(create.or(page.getByRole('heading', { name: 'Sign in' }))).toBeVisible()
  const isFirst = await create.isVisible()
  if (isFirst) await page.getByLabel('Name').fill(OWNER.name)
  await enter(page, OWNER, isFirst ? 'Create and go on' : 'Sign in')
}

/** A page, in a browser of its own, of somebody who has an account. */
export async function signIn(browser: Browser, server: Server, who: Account): Promise<Page> {
  const page = await (await browser.newContext()).newPage()
  await page.goto(`${server.url}/signin`)
  await enter(page, who, 'Sign in')
  return page
}

type Account = { email: string; password: string }

/** From the sign-in page to the list of chats. */
export async function enter(page: Page, { email, password }: Account, verb: string): Promise<void> {
  await page.getByLabel('E-mail').fill(email)
  await page.getByLabel('Password').fill(password)
  const button = page.getByRole('button', { name: verb })
  // Stories sign in more often than people: one that comes too soon is told to wait some seconds.
  const late = page.getByRole('alert').filter({ hasText: 'too many requests' })
  await button.click()
  await expect(async () => {
    if (await late.isVisible()) await button.click()
    await expect(page.getByRole('heading', { name: 'Live chats', exact: true })).toBeVisible({ timeout: 4_000 })
  }).toPass({ timeout: 30_000 })
}

/** A visitor of the chat page, in a browser of their own. */
export async function visitor(
  browser: Browser,
  server: Server
): Promise<{ read: (text: string) => Locator; say: (text: string) => Promise<void> }> {
  const page = await (await browser.newContext()).newPage()
  await page.goto(server.chatLink)
  const say = async (text: string) => {
    await page.getByRole('textbox').fill(text)
    await page.keyboard.press('Enter')
  }
  return { read: (text) => page.locator('.bubble', { hasText: text }), say }
}

/** The id of the group with this name. */
export async function groupOf(page: Page, name: string): Promise<string> {
  const { items } = await call<{ items: { id: string; name: string }[] }>(page, 'GET', 'groups')
  return items.find((it) => it.name === name)?.id ?? ''
}

/** The address of a screen of the tenant whose page this is. */
export function at(page: Page, screen: string): string {
  const { origin, pathname } = new URL(page.url())
  return `${origin}${pathname.split('/').slice(0, 3).join('/')}/${screen}`
}

/** Asks the API as the person whose page this is. */
export async function call<T = Record<string, any>>(
  page: Page,
  method: string,
  path: string,
  data?: object
): Promise<T> {
  const { origin } = new URL(page.url())
  const { csrf } = await (await page.request.get(`${origin}/api/v1/me`)).json()
  const headers = { 'x-csrf-token': csrf }
  const answer = await page.request.fetch(`${origin}/api/v1/${path}`, { method, headers, data })
  expect(answer.ok(), `${method} ${path}: ${await answer.text()}`).toBe(true)
  return answer.status() === 204 ? ({} as T) : await answer.json()
}
