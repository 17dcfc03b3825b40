// Every screen works with a keyboard and a screen reader, fits a narrow phone, and speaks Spanish.
import type { Page } from '@playwright/test'
import { findings, width } from './axe'
import { at, call, expect, groupOf, test, visitor } from './server'
import { Waha } from './waha'

const SCREENS = [
  'chats',
  'cases',
  'notifications',
  'contacts',
  'channels',
  'channels/connect',
  'channels/connect/twilio/whatsapp',
  'channels/connect/waha/whatsapp',
  'rules',
  'rules/new',
  'assistants',
  'assistants/new',
  'assistants/new/openai',
  'assistants/knowledge',
  'people',
  'calendars',
  'webhooks',
  'operations',
  'audit',
  'api-keys',
  'plugins',
  'plugins/twilio',
  'settings'
]

/** Opens a screen and waits until what it asks for has come. */
async function open(page: Page, screen: string): Promise<void> {
  await page.goto(at(page, screen))
  await expect(page.locator('main h1, main h2').first()).toBeVisible()
  await expect(page.getByText('Loading…')).toHaveCount(0)
}

/** Screens in parts, so that workers share them. */
const PARTS = [SCREENS.slice(0, 8), SCREENS.slice(8, 15), SCREENS.slice(15)]
const NARROW = 360

for (const colours of ['light', 'dark'] as const) {
  for (const screens of PARTS) {
    test(`${screens[0]} to ${screens.at(-1)} have no serious finding, ${colours}`, async ({ owner }) => {
      await owner.emulateMedia({ colorScheme: colours })
      for (const screen of screens) {
        await open(owner, screen)
        expect(await findings(owner, colours), screen).toEqual([])
      }
    })
  }

  test(`a thread with its history has no serious finding, ${colours}`, async ({ browser, server, owner }) => {
    await owner.emulateMedia({ colorScheme: colours })
    await (await visitor(browser, server)).say('I want a refund')
    await owner
      .getByRole('listitem')
      .filter({ hasText: 'Thank you for your message' })
      .getByRole('link')
      .first()
      .click()
    await owner.getByRole('button', { name: 'History' }).click()
    await expect(owner.getByText(/Rules: \d+ of/).first()).toBeVisible()
    expect(await findings(owner, colours), 'thread').toEqual([])
  })
}

test('screens of one thing and dialogs have no serious finding and fit, light and dark', async ({
  browser,
  server,
  owner
}) => {
  const waha = await Waha.start()
  const phone = await call(owner, 'POST', 'channels', waha.channel('Scanned phone', await groupOf(owner, 'Support')))
  await call(owner, 'POST', `channels/${phone.id}/session/start`, {})
  await waha.becomes('SCAN_QR_CODE')
  await (await visitor(browser, server)).say('Look me up')
  const { items } = await call<{ items: { id: string }[] }>(owner, 'GET', 'contacts?limit=1')
  const hook = { name: 'looked-at', url: 'https://example.com/in', events: ['rule.manual'] }
  const { id } = await call(owner, 'POST', 'webhooks', hook)
  for (const screen of [`channels/${phone.id}`, `contacts/${items[0]?.id}`, `webhooks/${id}`]) {
    await open(owner, screen)
    for (const colours of ['light', 'dark'] as const) {
      await owner.emulateMedia({ colorScheme: colours })
      expect(await findings(owner, colours), screen).toEqual([])
    }
    await owner.setViewportSize({ width: NARROW, height: 720 })
    expect(await width(owner), screen).toBeLessThanOrEqual(NARROW)
    await owner.setViewportSize({ width: 1440, height: 900 })
  }
  await owner.getByRole('button', { name: 'Edit' }).click()
  expect(await findings(owner, 'light'), 'dialog').toEqual([])
  waha.end()
})

test('every screen fits 360 pixels, and the list and the thread take turns', async ({ browser, server, owner }) => {
  await owner.setViewportSize({ width: NARROW, height: 720 })
  await (await visitor(browser, server)).say('Hello from a small screen')
  for (const screen of SCREENS) {
    await open(owner, screen)
    expect(await width(owner), screen).toBeLessThanOrEqual(NARROW)
  }
  await open(owner, 'chats')
  await owner.getByRole('link').filter({ hasText: 'Hello from a small screen' }).first().click()
  await expect(owner.getByLabel('Your answer')).toBeInViewport()
  await expect(owner.getByRole('heading', { name: 'Live chats', exact: true })).toBeHidden()
  await owner.getByRole('link', { name: 'Back to the list' }).click()
  await expect(owner.getByRole('heading', { name: 'Live chats', exact: true })).toBeVisible()
})

test('the list is walked and answered without a mouse', async ({ browser, server, owner }) => {
  for (const text of ['First of two', 'Second of two']) await (await visitor(browser, server)).say(text)
  await expect(owner.getByRole('region', { name: 'Live chats' }).getByText('Second of two')).toBeVisible()
  await owner.keyboard.press('j')
  await expect(owner.getByRole('log').getByText('Second of two')).toBeVisible()
  await owner.keyboard.press('j')
  await expect(owner.getByRole('log').getByText('First of two')).toBeVisible()
  await owner.keyboard.press('r')
  await owner.keyboard.type('Good morning')
  await owner.keyboard.press('Enter')
  await expect(owner.getByRole('log').getByText('Good morning')).toBeVisible()
})

test('the console speaks Spanish and says so', async ({ owner }) => {
  await owner.getByRole('button', { name: /^Account of/ }).click()
  await owner.getByLabel('Language').selectOption('Español')
  await expect(owner.getByRole('heading', { name: 'Chats en vivo', exact: true })).toBeVisible()
  await expect(owner.locator('html')).toHaveAttribute('lang', 'es')
  await owner.reload()
  await expect(owner.getByRole('heading', { name: 'Chats en vivo', exact: true })).toBeVisible()
})

test('nothing is inline, nothing comes from elsewhere, and the first screen is small', async ({ page, server }) => {
  const loaded: string[] = []
  const complaints: string[] = []
  let scripts = 0
  page.on('console', (message) => /Content Security Policy/i.test(message.text()) && complaints.push(message.text()))
  page.on('response', async (response) => {
    loaded.push(response.url())
    if (response.url().endsWith('.js')) scripts += Number((await response.allHeaders())['content-length'] ?? 0)
  })
  await page.goto(`${server.url}/signin`)
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()
  await page.waitForLoadState('networkidle')
  expect(loaded.filter((url) => !url.startsWith(server.url))).toEqual([])
  expect(complaints).toEqual([])
  expect(scripts).toBeGreaterThan(0)
  expect(scripts).toBeLessThan(200_000)
})
