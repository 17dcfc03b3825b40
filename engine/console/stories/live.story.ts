// What happens while answers are under way: the page ends up with the newest, whatever overtakes what.
import type { Locator, Page, Route } from '@playwright/test'
import { at, call, enter, expect, OWNER, test, visitor } from './server'

const LISTS = /\/api\/v1\/conversations\?.*limit=60/
const ONE = /\/api\/v1\/conversations\/cnv_[^/?]*$/
const STREAM = /\/api\/v1\/stream$/

/** Something that is held back until it is let go. */
class Held {
  count = 0
  /** Does what is asked from now on pass? */
  isPast = false
  #go = () => {}
  #gone = new Promise<void>((done) => (this.#go = done))
  #under: Promise<void>[] = []

  /** Lets the server answer, and the page wait for the answer. */
  answer = async (route: Route): Promise<void> => {
    if (this.isPast) return await route.continue()
    const response = await route.fetch()
    this.count += 1
    const told = this.#gone.then(() => route.fulfill({ response }))
    this.#under.push(told)
    await told
  }

  /** Keeps the question itself back. */
  question = async (route: Route): Promise<void> => {
    this.count += 1
    await this.#gone
    await route.continue()
  }

  async letGo(): Promise<void> {
    this.#go()
    await Promise.all(this.#under)
  }
}

function chats(page: Page): Locator {
  return page.getByRole('region', { name: 'Live chats' }).locator('a[href*="/cnv_"]')
}

test('a chat that comes before the stream is there is in the list', async ({ browser, server, owner }) => {
  const { items } = await call(owner, 'GET', 'conversations?live=true&limit=200')
  const stream = new Held()
  await owner.route(STREAM, stream.question)
  const listed = owner.waitForResponse(LISTS)
  await owner.goto(at(owner, 'chats'))
  await listed
  await expect.poll(() => stream.count).toBe(1)

  const { read, say } = await visitor(browser, server)
  await say('I want a refund')
  await expect(read('our billing team has it')).toBeVisible()
  await stream.letGo()
  await expect(chats(owner)).toHaveCount(items.length + 1)
  await expect(chats(owner).filter({ hasText: 'Billing' }).first()).toBeVisible()
})

test('an old list does not undo what came meanwhile', async ({ browser, server, owner }) => {
  const { items } = await call(owner, 'GET', 'conversations?live=true&limit=200')
  const lists = new Held()
  await owner.route(LISTS, lists.answer)
  const live = owner.waitForResponse(STREAM)
  await owner.goto(at(owner, 'chats'))
  await live
  await expect.poll(() => lists.count).toBeGreaterThan(0)

  const looked = owner.waitForResponse(ONE)
  const { say } = await visitor(browser, server)
  await say('Is anybody there?')
  await looked
  await expect(chats(owner).filter({ hasText: 'Is anybody there?' })).toBeVisible()
  await lists.letGo()
  await expect(chats(owner)).toHaveCount(items.length + 1)
  await expect(chats(owner).filter({ hasText: 'Is anybody there?' })).toBeVisible()
})

test('an answer that was overtaken changes nothing', async ({ browser, server, owner }) => {
  await expect(owner.getByRole('heading', { name: 'Live chats', exact: true })).toBeVisible()
  const first = new Held()
  await owner.route(ONE, first.answer)
  const { say } = await visitor(browser, server)
  await say('The first words')
  await expect.poll(() => first.count).toBeGreaterThan(0)
  first.isPast = true
  await say('The second words')
  const row = chats(owner).filter({ hasText: 'The second words' })
  await expect(row).toBeVisible()
  await first.letGo()
  await expect(chats(owner).filter({ hasText: 'The first words' })).toHaveCount(0)
  await expect(row).toBeVisible()
})

test('the next person at the same screen sees nothing of the one before', async ({ browser, server, owner }) => {
  const { say } = await visitor(browser, server)
  await say('Only for those who may')
  await expect(chats(owner).filter({ hasText: 'Only for those who may' })).toBeVisible()
  const one = new Held()
  await owner.route(ONE, one.answer)
  await say('And this as well')
  await expect.poll(() => one.count).toBeGreaterThan(0)
  await owner.getByRole('button', { name: /^Account of/ }).click()
  await owner.getByRole('button', { name: 'Sign out' }).click()
  const lists = new Held()
  await owner.route(LISTS, lists.answer)
  await enter(owner, OWNER, 'Sign in')
  await expect.poll(() => lists.count).toBeGreaterThan(0)
  await expect(chats(owner)).toHaveCount(0)
  const told = owner.waitForResponse(ONE)
  await one.letGo()
  await (await told).finished()
  // The answer has come; a frame later it would be in the list.
  await owner.evaluate(() => new Promise(requestAnimationFrame))
  await expect(chats(owner)).toHaveCount(0)
  await lists.letGo()
  await expect(chats(owner).filter({ hasText: 'And this as well' })).toBeVisible()
})
