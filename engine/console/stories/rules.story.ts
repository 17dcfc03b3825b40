// What admins do with rules: write, try, test on the past, publish, compare, order, and ask why. Each story stands alone
// and listens to words of its own.
import type { Page } from '@playwright/test'
import { findings, width } from './axe'
import { at, call, expect, test, visitor } from './server'

const head = (name: string, keys = '') => `//! ${name}\n//!\n//! on: message.received\n${keys}\n`
const editor = (page: Page, name = 'Source') => page.getByRole('textbox', { name })

async function write(page: Page, text: string, name = 'Source'): Promise<void> {
  await editor(page, name).click()
  await page.keyboard.press('ControlOrMeta+a')
  await page.keyboard.insertText(text)
}

async function made(page: Page, source: string, more: object = {}): Promise<string> {
  return (await call(page, 'POST', 'rules', { source, ...more })).id
}

test('a rule is mended by its diagnostic, tested, backtested, published, fires, and says why', async ({
  browser,
  server,
  owner
}) => {
  const { read, say } = await visitor(browser, server)
  await say('When do you open?')
  await owner.goto(at(owner, 'rules/new'))
  const name = head('Opening hours are told', '//! stage: reply\n//! position: 3\n')
  await write(owner, `${name}if message.text.contains("do you open") { send_mesage("Nine to five."); }\n`)
  const check = owner.getByRole('complementary', { name: 'Check' })
  await expect(check.getByText('line 7')).toBeVisible()
  await expect(check.getByText(/send_message/)).toBeVisible()
  await expect(owner.getByRole('button', { name: 'Publish' })).toBeDisabled()
  await write(owner, `${name}if message.text.contains("do you open") { send_message("Nine to five."); }\n`)
  await expect(check.getByText('The rule is sound')).toBeVisible()

  await owner.getByRole('tab', { name: 'Cases' }).click()
  const cases = (expected: string) =>
    `[[case]]\nname = "hours"\ngiven.message.text = "Do you open on Sunday?"\nexpect = ['${expected}']\n`
  await write(owner, cases('archive()'), 'Cases')
  await expect(check.getByText('Cases: 0 of 1 passed')).toBeVisible()
  await owner.getByRole('button', { name: 'Publish' }).click()
  await owner.getByRole('dialog').getByRole('button', { name: 'Publish' }).click()
  await expect(owner.getByRole('dialog').getByText('These cases fail')).toBeVisible()
  await owner.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
  await write(owner, cases('send_message("Nine to five.")'), 'Cases')
  await expect(check.getByText('Cases: 1 of 1 passed')).toBeVisible()
  await owner.getByRole('button', { name: 'Save draft' }).click()
  await expect(owner).toHaveURL(/\/rules\/rul_\w+$/)

  await owner.getByRole('tab', { name: 'Backtest' }).click()
  await owner.getByRole('button', { name: 'Start' }).click()
  const result = owner.getByRole('region', { name: 'Result' })
  await expect(result.getByText('done', { exact: true })).toBeVisible()
  await expect(result.getByRole('cell', { name: 'Free text', exact: true })).toBeVisible()
  await expect(result.getByRole('row').filter({ hasText: 'send_message("Nine to five.")' }).first()).toBeVisible()

  await owner.getByRole('button', { name: 'Publish' }).click()
  await owner.getByRole('dialog').getByLabel('What has changed').fill('Nobody should have to ask')
  await owner.getByRole('dialog').getByRole('button', { name: 'Publish' }).click()
  await expect(owner.getByText('Version 1 is live')).toBeVisible()

  await say('And when do you open tomorrow?')
  await expect(read('Nine to five.')).toBeVisible()
  await owner.getByRole('navigation').getByRole('link', { name: 'Live chats' }).click()
  await owner.getByRole('listitem').filter({ hasText: 'Nine to five.' }).getByRole('link').click()
  await owner.getByRole('button', { name: 'History' }).click()
  const details = owner.getByRole('complementary', { name: 'Details' })
  const moment = details.getByRole('listitem').filter({ hasText: 'The contact wrote' }).first()
  await moment.getByRole('link', { name: /^Why\?/ }).click()
  const why = owner.getByRole('region', { name: 'Opening hours are told' })
  await expect(why.getByText('fired', { exact: true })).toBeVisible()
  await expect(why.getByText('Send a message', { exact: true })).toBeVisible()
  await expect(why.getByText('"And when do you open tomorrow?"').first()).toBeVisible()
  await why.getByText('The rule, line by line').click()
  await expect(why.getByText('(this line ran)').first()).toBeAttached()
})

test('a rule is tried on something made up and on a conversation, line by line', async ({ browser, server, owner }) => {
  const { say } = await visitor(browser, server)
  await say('The blue parcel is broken')
  await owner.goto(at(owner, 'rules/new'))
  await write(
    owner,
    `${head('Broken parcels')}if message.text.has_word(["broken"]) && window.is_open {\n    add_labels("parcel");\n}\n`
  )
  await owner.locator('.cm-line').getByText('is_open').hover()
  await expect(owner.getByText('window.is_open: true or false')).toBeVisible()
  await owner.getByRole('button', { name: 'Try it', exact: true }).click()
  const side = owner.getByRole('complementary', { name: 'Try it' })
  await side.getByLabel('What the message says').fill('All is well')
  await side.getByRole('button', { name: 'Run it' }).click()
  await expect(side.getByText('did not match')).toBeVisible()
  await expect(side.getByText('not looked at: it was decided before')).toBeVisible()
  await expect(owner.locator('.cm-beside').filter({ hasText: 'message.text = "All is well"' })).toBeVisible()

  await side.getByText('Something that happened').click()
  const option = side.getByLabel('Conversation').locator('option').filter({ hasText: 'The blue parcel' })
  await side.getByLabel('Conversation').selectOption((await option.getAttribute('value'))!)
  await expect(side.getByLabel('Event').locator('option:checked')).toContainText('The contact wrote')
  await side.getByRole('button', { name: 'Run it' }).click()
  await expect(side.getByText('add_labels(["parcel"])')).toBeVisible()
  await expect(owner.locator('.cm-ran')).toHaveCount(2)

  // A change of the text is tried at once.
  await write(owner, `${head('Broken parcels')}if message.text.has_word(["intact"]) { archive(); }\n`)
  await expect(side.getByText('did not match')).toBeVisible()
})

test('a case is written down from a conversation, and fails once the rule does something else', async ({
  browser,
  server,
  owner
}) => {
  const rule = (label: string) =>
    `${head('Green parcels')}if message.text.contains("green parcel") { add_labels("${label}"); }\n`
  const id = await made(owner, rule('green'))
  const { say } = await visitor(browser, server)
  await say('Where is the green parcel?')
  await owner.goto(at(owner, `rules/${id}`))
  await owner.getByRole('tab', { name: 'Cases' }).click()
  await owner.getByRole('button', { name: 'From a conversation' }).click()
  const dialog = owner.getByRole('dialog')
  const option = dialog.getByLabel('Conversation').locator('option').filter({ hasText: 'green parcel' })
  await dialog.getByLabel('Conversation').selectOption((await option.getAttribute('value'))!)
  await dialog.getByLabel('What the case shows').fill('green ones are marked')
  await dialog.getByRole('button', { name: 'Keep as a case' }).click()
  const check = owner.getByRole('complementary', { name: 'Check' })
  await expect(check.getByText('Cases: 1 of 1 passed')).toBeVisible()
  await owner.getByRole('tab', { name: 'Source' }).click()
  await write(owner, rule('blue'))
  await expect(check.getByText('Cases: 0 of 1 passed')).toBeVisible()
  await expect(check.locator('pre')).toContainText('blue')
})

test('versions are compared, planned, and gone back to', async ({ owner }) => {
  const rule = (label: string) =>
    `${head('Versions')}if message.text.contains("versions") { add_labels("${label}"); }\n`
  const id = await made(owner, rule('one'))
  await owner.goto(at(owner, `rules/${id}`))
  await expect(editor(owner)).toContainText('add_labels("one")')
  await write(owner, rule('two'))
  await owner.getByRole('button', { name: 'Publish' }).click()
  const dialog = owner.getByRole('dialog')
  await dialog.getByText('Later, by itself').click()
  await dialog.getByLabel('At', { exact: true }).fill('2027-11-01T09:00')
  await dialog.getByRole('button', { name: 'Publish' }).click()
  await expect(owner.getByText(/^Publishes itself on/).first()).toBeVisible()
  await owner.getByRole('tab', { name: 'Versions' }).click()
  const diff = owner.getByRole('region', { name: 'What differs' }).last()
  await expect(diff.locator('.gone')).toContainText('add_labels("one")')
  await expect(diff.locator('.came')).toContainText('add_labels("two")')
  const halves = await diff.getByRole('row').count()
  await owner.getByRole('button', { name: 'In one column' }).click()
  await expect(diff.getByRole('row')).toHaveCount(halves + 1)
  await expect(diff.locator('tr', { has: owner.locator('.sign.gone') })).toContainText('add_labels("one")')
  await expect(diff.locator('tr', { has: owner.locator('.sign.came') })).toContainText('add_labels("two")')
  await owner.getByRole('button', { name: 'Do not publish by itself' }).click()
  await expect(owner.getByRole('button', { name: 'Do not publish by itself' })).toHaveCount(0)
  await owner.getByRole('button', { name: 'Publish' }).click()
  await dialog.getByRole('button', { name: 'Publish' }).click()
  await expect(owner.getByText('Version 2 is live')).toBeVisible()

  const versions = owner.getByRole('region', { name: 'Versions' })
  await versions
    .getByRole('listitem')
    .filter({ hasText: 'Version 1' })
    .getByRole('button', { name: 'Roll back' })
    .click()
  await dialog.getByRole('button', { name: 'Roll back' }).click()
  await expect(owner.getByText('Version 3 is live')).toBeVisible()
  await expect(versions.getByText('back to version 1')).toBeVisible()
  await owner.getByRole('tab', { name: 'Source' }).click()
  await expect(editor(owner)).toContainText('add_labels("one")')
})

test('a loop is drawn before it is published, and accepted only on purpose', async ({ owner }) => {
  await made(owner, `//! Ping\n//! on: note.added\n//! chain: true\n\nset_priority("high");\n`)
  const source = `//! Pong\n//! on: conversation.updated\n//! chain: true\n\nadd_note("again");\n`
  const id = await made(owner, source, { publish: false })
  await owner.goto(at(owner, `rules/${id}`))
  await owner.getByRole('button', { name: 'Publish' }).click()
  const dialog = owner.getByRole('dialog')
  await dialog.getByRole('button', { name: 'Publish' }).click()
  const drawn = dialog.getByRole('alert').getByRole('listitem')
  await expect(drawn.filter({ hasText: 'note.added' })).toBeVisible()
  await expect(drawn.filter({ hasText: 'Ping' })).toBeVisible()
  await dialog.getByText('Publish it although').click()
  await dialog.getByRole('button', { name: 'Publish' }).click()
  await expect(owner.getByText('Version 1 is live')).toBeVisible()
  await call(owner, 'DELETE', `rules/${id}`)
})

test('rules are put in order with keys and with the mouse', async ({ owner }) => {
  const names = ['Order one', 'Order two', 'Order three']
  for (const name of names) await made(owner, `${head(name)}if message.text == "never" { archive(); }\n`)
  await owner.goto(at(owner, 'rules'))
  const rows = owner.locator('main ol > li')
  const mine = async () => (await rows.locator('strong').allTextContents()).filter((name) => names.includes(name))
  await expect.poll(mine).toEqual(names)
  await owner.getByRole('button', { name: 'Move Order three up' }).focus()
  await owner.keyboard.press('Enter')
  await expect.poll(mine).toEqual(['Order one', 'Order three', 'Order two'])
  await expect(owner.getByRole('button', { name: 'Move Order three up' })).toBeFocused()
  await expect(owner.getByText(/^Order three is now \d+ of \d+$/)).toBeAttached()
  await rows.filter({ hasText: 'Order two' }).dragTo(rows.filter({ hasText: 'Order one' }))
  await expect.poll(mine).toEqual(['Order two', 'Order one', 'Order three'])
  await expect(owner.getByText(/^Order two is now \d+ of \d+$/)).toBeAttached()
  await owner.reload()
  await expect.poll(mine).toEqual(['Order two', 'Order one', 'Order three'])
})

test('a rule that keeps failing is parked, says how it failed, and is resumed', async ({ browser, server, owner }) => {
  const name = 'Stumbles'
  const id = await made(owner, `${head(name)}if message.text.contains("stumble") { add_note(message.choice + 1); }\n`)
  const { say } = await visitor(browser, server)
  for (let n = 1; n <= 5; n++) await say(`stumble ${n}`)
  await owner.goto(at(owner, 'rules'))
  const row = owner.getByRole('listitem').filter({ hasText: name })
  await expect
    .poll(async () => {
      await owner.reload()
      await row.waitFor()
      return row.getByText('Parked').count()
    })
    .toBe(1)
  await owner.goto(at(owner, `rules/${id}`))
  await owner.getByRole('tab', { name: 'Activity' }).click()
  const held = owner.getByRole('region', { name: 'Parked' })
  await expect(held.getByText('It failed on 5 events in a row')).toBeVisible()
  await expect(
    owner.getByRole('region', { name: 'Last runs' }).getByRole('link').filter({ hasText: 'failed' })
  ).toHaveCount(5)
  await held.getByRole('link', { name: 'Why?' }).click()
  await expect(owner.getByRole('region', { name }).getByText('It failed, so nothing of it was done.')).toBeVisible()
  await owner.goto(at(owner, 'rules'))
  await row.getByRole('button', { name: `Resume ${name}` }).click()
  await expect(row.getByText('Parked')).toHaveCount(0)
})

test('a rule is put together in a form, and the form and the code say the same', async ({ owner }) => {
  await owner.goto(at(owner, 'rules/new'))
  await owner.getByRole('tab', { name: 'Form' }).click()
  const panel = owner.getByRole('tabpanel')
  await panel.getByLabel('Name', { exact: true }).fill('Put together')
  await panel.getByLabel('Value').fill('parcel\nbox')
  await panel.getByRole('button', { name: 'Group', exact: true }).click()
  const inner = panel
    .getByRole('group')
    .filter({ has: owner.getByRole('button', { name: 'Remove the group' }) })
    .last()
  await inner.getByLabel('How these are joined').selectOption('none')
  await inner.getByLabel('Fact').selectOption('calendar.is_open')
  await inner.getByLabel('Of which').fill('Office hours')
  await panel.getByLabel('Do', { exact: true }).selectOption('set_priority')
  await panel.getByLabel('Priority', { exact: true }).selectOption('urgent')
  await panel.getByRole('button', { name: 'Add an action' }).click()
  await panel.getByLabel('Labels', { exact: true }).fill('boxes')
  await owner.getByRole('tab', { name: 'Source' }).click()
  const code = editor(owner)
  await expect(code).toContainText('//! Put together')
  await expect(code).toContainText(
    'if message.text.contains_any(["parcel", "box"]) && !(calendar("Office hours").is_open == true) {'
  )
  await expect(code).toContainText('set_priority("urgent");')
  await expect(code).toContainText('add_labels(["boxes"]);')

  await write(owner, `${head('Put together')}if contact.name == () { archive(); }\n`)
  await owner.getByRole('tab', { name: 'Form' }).click()
  await expect(panel.getByLabel('Is', { exact: true })).toHaveValue('missing')
  await expect(panel.getByLabel('Do', { exact: true })).toHaveValue('archive')
  await owner.getByRole('tab', { name: 'Source' }).click()
  await write(owner, `${head('Put together')}for n in [1, 2] { archive(); }\n`)
  await owner.getByRole('tab', { name: 'Form' }).click()
  await expect(panel.getByText('This rule is more than a form can show')).toBeVisible()
  await expect(panel.getByText('a form has no field for a loop')).toBeVisible()
})

test('a draft runs as a shadow beside what is published', async ({ browser, server, owner }) => {
  const rule = (label: string) => `${head('Shadowed')}if message.text.contains("shade") { add_labels("${label}"); }\n`
  const id = await made(owner, rule('light'))
  await owner.goto(at(owner, `rules/${id}`))
  await expect(editor(owner)).toContainText('light')
  await write(owner, rule('dark'))
  await owner.getByRole('tab', { name: 'Shadow' }).click()
  await owner.getByRole('button', { name: 'Start the shadow' }).click()
  await expect(owner.getByText('Shadow is on')).toBeVisible()
  const { say } = await visitor(browser, server)
  await say('Some shade please')
  const row = owner.getByRole('row').filter({ hasText: 'dark' })
  await expect(row.getByText('light')).toBeVisible({ timeout: 30_000 })
  await owner.getByRole('button', { name: 'Stop the shadow' }).click()
  await expect(owner.getByText('Shadow is off')).toBeVisible()
  await row.getByRole('link', { name: 'Try it here' }).click()
  const side = owner.getByRole('complementary', { name: 'Try it' })
  await expect(side.getByText('add_labels(["dark"])')).toBeVisible()
})

for (const colours of ['light', 'dark'] as const) {
  test(`every part of the editor and an explanation have no serious finding and fit a phone, ${colours}`, async ({
    browser,
    server,
    owner
  }) => {
    test.slow() // a dozen screens, each looked at twice
    const word = `accessible ${colours}`
    const rule = (label: string) =>
      `${head(`All can read it, ${colours}`)}if message.text.contains("${word}") { add_labels("${label}"); }\n`
    const id = await made(owner, rule('one'), { cases: '[[case]]\nname = "other"\nnone = true\n' })
    await call(owner, 'PATCH', `rules/${id}`, { source: rule('two') })
    const { say } = await visitor(browser, server)
    await say(`Is this ${word}?`)
    await call(owner, 'POST', `rules/${id}/shadow`, { on: true })
    await owner.emulateMedia({ colorScheme: colours })
    const fits = async (part: string) => {
      await owner.setViewportSize({ width: 360, height: 720 })
      expect(await width(owner), part).toBeLessThanOrEqual(360)
      await owner.setViewportSize({ width: 1440, height: 900 })
    }
    await owner.goto(at(owner, `rules/${id}`))
    for (const part of ['Form', 'Cases', 'Backtest', 'Shadow', 'Versions', 'Activity', 'Source']) {
      await owner.getByRole('tab', { name: part }).click()
      if (part === 'Backtest') {
        await owner.getByRole('button', { name: 'Start' }).click()
        await expect(owner.getByRole('region', { name: 'Where it does something else' })).toBeVisible()
      }
      await expect(owner.getByText('Loading…')).toHaveCount(0)
      expect(await findings(owner, colours), part).toEqual([])
      await fits(part)
    }
    await owner.getByRole('button', { name: 'Try it', exact: true }).click()
    await owner.getByRole('button', { name: 'Run it' }).click()
    await expect(owner.getByText('did not match')).toBeVisible()
    expect(await findings(owner, colours), 'Try it').toEqual([])
    await fits('Try it')
    const events = await call(owner, 'GET', 'events?type=message.received&order=desc&limit=50')
    const seen = events.items.map((it: { id: string }) => it.id)
    for (const event of seen) {
      const told = await call(owner, 'GET', `events/${event}/explain?rule=${id}`)
      if (told.rules[0]?.outcome !== 'matched') continue
      await owner.goto(at(owner, `rules/events/${event}`))
      break
    }
    const why = owner.getByRole('region', { name: `All can read it, ${colours}` })
    await why.getByText('The rule, line by line').click()
    await owner.getByText(/rules did not look/).click()
    expect(await findings(owner, colours), 'explanation').toEqual([])
    await fits('explanation')
  })
}
