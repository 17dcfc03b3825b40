// What agents do all day besides answering: quoting, putting off, being told.
import { Meta } from './meta'
import { call, expect, groupOf, test, visitor } from './server'
import { Twilio } from './twilio'
import { Waha } from './waha'

/** A picture of one pixel. */
const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64'
)

test('an answer quotes the message that it is about', async ({ owner }) => {
  const waha = await Waha.start()
  const channel = await call(owner, 'POST', 'channels', waha.channel('Quoting phone', await groupOf(owner, 'Support')))
  await call(owner, 'POST', `channels/${channel.id}/session/start`, {})
  await waha.becomes('WORKING')
  await waha.say('12132132177', '3A0000000000000011', 'Do you have it in blue?')
  await owner.reload()
  await owner.getByRole('listitem').filter({ hasText: 'Do you have it in blue?' }).getByRole('link').click()
  const asked = owner.getByRole('log').getByRole('article').filter({ hasText: 'Do you have it in blue?' })
  await asked.getByRole('button', { name: 'Quote this message' }).click()
  const composer = owner.getByRole('group', { name: 'Write' })
  await expect(composer.getByText('Do you have it in blue?')).toBeVisible()
  // Escape takes the quotation back before it leaves the field.
  await owner.keyboard.press('Escape')
  await expect(composer.getByText('Do you have it in blue?')).toHaveCount(0)
  await asked.getByRole('button', { name: 'Quote this message' }).click()
  await owner.keyboard.type('Yes, in every size.')
  await owner.keyboard.press('Enter')
  const answer = owner.getByRole('log').getByRole('article').filter({ hasText: 'Yes, in every size.' })
  await expect(answer.getByRole('blockquote')).toContainText('Do you have it in blue?')
  await expect.poll(() => waha.sent.find((it) => it.body.text === 'Yes, in every size.')?.body.reply_to).toBeTruthy()
  waha.end()
})

test('a conversation is put off, found by its label, and woken', async ({ browser, server, owner }) => {
  await (await visitor(browser, server)).say('Call me next week')
  await owner.getByRole('listitem').filter({ hasText: 'Call me next week' }).getByRole('link').click()
  const details = owner.getByRole('complementary', { name: 'Details' })
  await details.getByLabel('Add a label').fill('later')
  await owner.keyboard.press('Enter')
  await expect(details.getByRole('button', { name: 'Remove the label later' })).toBeVisible()
  const more = owner.getByRole('button', { name: 'More actions' })
  await more.click()
  await owner.getByRole('button', { name: 'Tomorrow, 9:00' }).click()
  await expect(details.getByText('Snoozed until')).toBeVisible()
  await more.click()
  await owner.getByRole('button', { name: 'Wake it now' }).click()
  await expect(details.getByText('Snoozed until')).toHaveCount(0)
  await owner.keyboard.press('Escape')
  await (await visitor(browser, server)).say('Something else')
  const list = owner.getByRole('region', { name: 'Live chats' })
  await expect(list.getByText('Something else')).toBeVisible()
  await owner.getByRole('heading', { name: 'Live chats', exact: true }).click()
  await owner.keyboard.press('f')
  await list.getByLabel('Label', { exact: true }).fill('later')
  await owner.keyboard.press('Enter')
  await expect(list.getByText('Something else')).toHaveCount(0)
  await expect(list.getByText('Call me next week')).toBeVisible()
})

// S14, S92
test('a new chat announces itself: in the icon, the title, and by the browser when allowed', async ({
  browser,
  server,
  owner
}) => {
  await owner.addInitScript(() => {
    const told: string[] = []
    class Notice {
      static permission = 'default'
      static async requestPermission() {
        return (Notice.permission = 'granted')
      }
      onclick: (() => void) | null = null
      constructor(title: string) {
        told.push(title)
      }
      close() {}
    }
    Object.assign(globalThis, { Notification: Notice, told })
    Object.defineProperty(document, 'hidden', { get: () => 'away' in globalThis })
  })
  await owner.reload()
  await owner.getByRole('button', { name: /^Account of/ }).click()
  const notices = owner.getByRole('checkbox', { name: /Show the browser's notices/ })
  await expect(notices).not.toBeChecked()
  await notices.check()
  await owner.getByRole('checkbox', { name: /Play a sound/ }).check()
  await owner.evaluate(() => Object.assign(globalThis, { away: true }))
  await (await visitor(browser, server)).say('Anybody there?')
  const told = () => owner.evaluate(() => (globalThis as unknown as { told: string[] }).told)
  // Never the text: a screen may be shared.
  await expect.poll(told).toContain('A new message')
  await expect(owner.locator('link[rel=icon]')).toHaveAttribute('href', /icon-new/)
  await expect(owner).toHaveTitle(/^\(\d+\) /)
})

test('all keys are shown by a question mark', async ({ owner }) => {
  await owner.keyboard.press('?')
  const keys = owner.getByRole('dialog', { name: 'Keyboard shortcuts' })
  await expect(keys.getByText('walk the list')).toBeVisible()
  await owner.keyboard.press('Escape')
  await expect(keys).toHaveCount(0)
  await owner.getByRole('button', { name: /^Account of/ }).click()
  await owner.getByRole('button', { name: 'Keyboard shortcuts' }).click()
  await expect(keys).toBeVisible()
})

// S95
test('two contacts are brought together and apart again', async ({ owner }) => {
  for (const name of ['Nora Lind', 'N. Lind']) await call(owner, 'POST', 'contacts', { name })
  await owner.getByRole('navigation').getByRole('link', { name: 'Contacts' }).click()
  await owner.getByRole('link', { name: /Nora Lind/ }).click()
  const same = owner.getByRole('region', { name: 'The same person?' })
  await same.getByLabel('Another contact').fill('N. Li')
  await same.getByRole('button', { name: 'Merge N. Lind' }).click()
  await owner.getByRole('dialog').getByRole('button', { name: 'Merge', exact: true }).click()
  await expect(same.getByText('Merged before')).toBeVisible()
  await same.getByRole('button', { name: 'Undo' }).click()
  await expect(same.getByText('Undone')).toBeVisible()
})

// S24, S71, S74
test('somebody who never wrote is written to, with a template where the channel wants one', async ({ owner }) => {
  const twilio = await Twilio.start()
  const made = await call(owner, 'POST', 'channels', twilio.channel('Outgoing line', await groupOf(owner, 'Support')))
  await call(owner, 'POST', `channels/${made.id}/templates/refresh`, {})
  await call(owner, 'POST', 'contacts', { name: 'Olga Ruiz', phone: '+34600000055' })
  await owner.reload()
  await owner.getByRole('navigation').getByRole('link', { name: 'Contacts' }).click()
  await owner.getByRole('link', { name: /Olga Ruiz/ }).click()
  await owner.getByRole('button', { name: 'Write', exact: true }).click()
  const dialog = owner.getByRole('dialog', { name: 'Write first' })
  await dialog.getByLabel('Channel').selectOption({ label: 'Outgoing line' })
  await expect(dialog.getByLabel('To')).toHaveValue('+34600000055')
  await dialog.getByRole('button', { name: /follow_up/ }).click()
  await dialog.getByLabel('Variable 1').fill('Olga')
  await dialog.getByRole('button', { name: 'Send template' }).click()
  await expect(owner).toHaveURL(/\/chats\/cnv_/)
  await expect.poll(() => twilio.sent.at(-1)?.get('To')).toBe('whatsapp:+34600000055')
  twilio.end()
})

// S74, S77
test('a template with a picture above its text is sent with the picture that was chosen', async ({ owner }) => {
  const meta = await Meta.start()
  const made = await call(owner, 'POST', 'channels', meta.channel('Season line', await groupOf(owner, 'Support')))
  await call(owner, 'POST', `channels/${made.id}/templates/refresh`, {})
  await call(owner, 'POST', 'contacts', { name: 'Iris Bell', phone: '+34600000056' })
  await owner.reload()
  await owner.getByRole('navigation').getByRole('link', { name: 'Contacts' }).click()
  await owner.getByRole('link', { name: /Iris Bell/ }).click()
  await owner.getByRole('button', { name: 'Write', exact: true }).click()
  const dialog = owner.getByRole('dialog', { name: 'Write first' })
  await dialog.getByLabel('Channel').selectOption({ label: 'Season line' })
  await dialog.getByRole('button', { name: /new_season/ }).click()
  await dialog.getByLabel('Variable 1').fill('Iris')
  const send = dialog.getByRole('button', { name: 'Send template' })
  await expect(send).toBeDisabled()
  const picture = { name: 'coat.png', mimeType: 'image/png', buffer: PIXEL }
  await dialog.getByLabel('Picture above the text').setInputFiles(picture)
  await send.click()
  await expect(owner).toHaveURL(/\/chats\/cnv_/)
  await expect(owner.getByRole('log').getByText('new_season')).toBeVisible()
  await expect.poll(() => meta.sent.length).toBe(1)
  expect(meta.uploads.map((it) => it.includes(PIXEL))).toEqual([true])
  const given = (type: string) => meta.sent[0]?.template.components.find((it) => it.type === type)?.parameters
  expect(given('header')).toEqual([{ type: 'image', image: { id: '901' } }])
  expect(given('body')).toEqual([{ type: 'text', text: 'Iris' }])
  meta.end()
})

test('a contact is erased for good, with the name typed first', async ({ browser, server, owner }) => {
  await (await visitor(browser, server)).say('Please forget me')
  await owner.getByRole('listitem').filter({ hasText: 'Please forget me' }).getByRole('link').click()
  await expect(owner).toHaveURL(/cnv_/)
  const talk = await call(owner, 'GET', `conversations/${owner.url().split('/').at(-1)}`)
  const id: string = talk.contact.id
  await call(owner, 'PATCH', `contacts/${id}`, { name: 'Otto Gray' })
  await owner.getByRole('navigation').getByRole('link', { name: 'Contacts' }).click()
  await owner.getByRole('link', { name: /Otto Gray/ }).click()
  const theirs = owner.getByRole('region', { name: 'What is known about them' })
  const file = owner.waitForEvent('download')
  await theirs.getByRole('link', { name: 'Export as a file' }).click()
  expect((await file).suggestedFilename()).toBe(`${id}.json`)
  await theirs.getByRole('button', { name: 'Erase for good' }).click()
  const dialog = owner.getByRole('dialog', { name: 'Erase Otto Gray' })
  await expect(dialog.getByRole('button', { name: 'Erase for good' })).toBeDisabled()
  await dialog.getByLabel('Type Otto Gray to confirm').fill('Otto Gray')
  await dialog.getByRole('button', { name: 'Erase for good' }).click()
  await expect(owner.getByText(/^Erased/)).toBeVisible()
  await expect(owner.getByRole('heading', { name: 'Contacts', exact: true })).toBeVisible()
  await expect(owner.getByRole('link', { name: /Otto Gray/ })).toHaveCount(0)
  await owner.goto(owner.url().replace(/contacts$/, `contacts/${id}`))
  await expect(owner.getByRole('heading', { name: /^Erased on/ })).toBeVisible()
})
