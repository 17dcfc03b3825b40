// What people do with the console, from the first link to a rule that fires. Each story stands alone.
import { at, expect, OWNER, Server, signIn, signInAsOwner, test, visitor } from './server'
import { Twilio } from './twilio'

const HOUR_MS = 3_600_000

// S01, S07, S08, S11, S14, S17, S65, S67, S68
test('the one-time link makes the owner, and a chat goes both ways live', async ({ browser, server, owner }) => {
  await expect(owner).toHaveURL(/\/app\/tnt_\w+\/chats$/)
  const { read, say } = await visitor(browser, server)
  await say('Do you ship to Portugal?')
  const row = owner.getByRole('listitem').filter({ hasText: 'Do you ship to Portugal?' })
  await row.getByRole('link').click()
  await expect(owner).toHaveURL(/\/chats\/cnv_\w+$/)
  await owner.getByLabel('Your answer').fill('Yes, to all of it.')
  await owner.keyboard.press('Enter')
  await expect(read('Yes, to all of it.')).toBeVisible()
  await say('Great <b>thanks</b>')
  const thread = owner.getByRole('log')
  await expect(thread.getByText('Great <b>thanks</b>')).toBeVisible()
  await expect(thread.locator('b')).toHaveCount(0)

  await owner.getByRole('button', { name: 'Note', exact: true }).click()
  await owner.getByLabel('Note for colleagues').fill('Asked twice already')
  await owner.keyboard.press('Enter')
  await expect(thread.getByText('Asked twice already')).toBeVisible()
  await expect(read('Asked twice already')).toHaveCount(0)
})

// S13, S15, S84, S89
test('an ended chat is found among the cases, closed and opened again', async ({ browser, server, owner }) => {
  const { say } = await visitor(browser, server)
  await say('My parcel is late')
  await owner.getByRole('listitem').filter({ hasText: 'My parcel is late' }).getByRole('link').click()
  await owner.getByRole('button', { name: 'End chat' }).click()
  await expect(owner.getByRole('listitem').filter({ hasText: 'My parcel is late' }).getByRole('link')).toHaveCount(0)
  await owner.getByRole('navigation').getByRole('link', { name: 'All cases' }).click()
  await owner.getByRole('listitem').filter({ hasText: 'My parcel is late' }).getByRole('link').click()
  await owner.getByRole('button', { name: 'Close case' }).click()
  await expect(owner.getByRole('button', { name: 'Reopen' })).toBeVisible()
  await owner.getByRole('button', { name: 'Reopen' }).click()
  await expect(owner.getByRole('button', { name: 'Close case' })).toBeVisible()
})

// S71, S72, S73, S75, S76, S77, S78
test('when the window has closed, the composer becomes the list of templates', async ({ server, owner }) => {
  const twilio = await Twilio.start()
  const csrf = (await (await owner.request.get(`${server.url}/api/v1/me`)).json()).csrf
  const group = (await (await owner.request.get(`${server.url}/api/v1/groups`)).json()).items.find(
    (it: { name: string }) => it.name === 'Support'
  ).id
  const headers = { 'x-csrf-token': csrf }
  const made = await owner.request.post(`${server.url}/api/v1/channels`, {
    headers,
    data: twilio.channel('Sales WhatsApp', group)
  })
  expect(made.status(), await made.text()).toBe(201)
  const channel = await made.json()
  twilio.delivers(channel.webhook_url)
  expect(
    (
      await owner.request.post(`${server.url}/api/v1/channels/${channel.id}/templates/refresh`, { headers, data: {} })
    ).status()
  ).toBe(200)
  expect(await twilio.say('+34600000001', `SM${'a'.repeat(32)}`, 'Is my order ready?')).toBe(200)

  await owner.reload()
  await owner.getByRole('listitem').filter({ hasText: 'Is my order ready?' }).getByRole('link').click()
  await expect(owner.getByLabel('Your answer')).toBeVisible()
  await server.advance(25 * HOUR_MS)
  await owner.reload()
  await expect(owner.getByText('The contact wrote too long ago for free text.')).toBeVisible()
  const names = owner.getByRole('group', { name: 'Write' }).getByRole('listitem').locator('strong')
  await expect(names).toHaveText(['follow_up', 'order_update'])
  await owner.getByRole('button', { name: /follow_up/ }).click()
  await expect(owner.getByRole('button', { name: 'Send template' })).toBeDisabled()
  await owner.getByLabel('Variable 1').fill('Marta')
  await expect(owner.getByText('Hello Marta, may we go on?')).toBeVisible()
  await owner.getByRole('button', { name: 'Send template' }).click()
  await expect.poll(() => twilio.sent.length).toBe(1)
  expect(JSON.parse(twilio.sent[0]?.get('ContentVariables') ?? '{}')).toEqual({ '1': 'Marta' })
  // The thread keeps what the contact read, whatever becomes of the template.
  await expect(owner.getByRole('article').filter({ hasText: 'Hello Marta, may we go on?' })).toBeVisible()
  twilio.end()
})

// S60, S61, S70
test('a failed message says why, is sent again or deleted, and a file that does not fit is refused at once', async ({
  server,
  owner
}) => {
  const twilio = await Twilio.start()
  const { csrf } = await (await owner.request.get(`${server.url}/api/v1/me`)).json()
  const groups = (await (await owner.request.get(`${server.url}/api/v1/groups`)).json()).items
  const data = twilio.channel('Failing WhatsApp', groups.find((it: { name: string }) => it.name === 'Support').id)
  const channel = await (
    await owner.request.post(`${server.url}/api/v1/channels`, { headers: { 'x-csrf-token': csrf }, data })
  ).json()
  twilio.delivers(channel.webhook_url)
  await owner.reload()
  expect(await twilio.say('+34600000002', `SM${'b'.repeat(32)}`, 'Can you send me the list?')).toBe(200)
  await owner.getByRole('listitem').filter({ hasText: 'Can you send me the list?' }).getByRole('link').click()

  await owner
    .locator('input[type=file]')
    .setInputFiles({ name: 'setup.exe', mimeType: 'application/x-msdownload', buffer: Buffer.from('MZ') })
  await expect(
    owner.getByRole('status').getByText('setup.exe: this channel does not take application/x-msdownload')
  ).toBeVisible()

  twilio.refuses = { code: 63024, message: 'Invalid message recipient' }
  await owner.getByLabel('Your answer').fill('Here it is')
  await owner.keyboard.press('Enter')
  const failed = owner.getByRole('log').getByRole('article').filter({ hasText: 'Here it is' })
  await expect(failed.getByRole('note')).toContainText('Not sent.')
  await expect(failed.getByRole('note')).toContainText('63024')
  twilio.refuses = null
  await failed.getByRole('button', { name: 'Send again' }).click()
  await expect(failed.getByRole('note')).toHaveCount(0)
  await expect.poll(() => twilio.sent.some((form) => form.get('Body') === 'Here it is')).toBe(true)

  twilio.refuses = { code: 63024, message: 'Invalid message recipient' }
  await owner.getByLabel('Your answer').fill('Not this one')
  await owner.keyboard.press('Enter')
  const unwanted = owner.getByRole('log').getByRole('article').filter({ hasText: 'Not this one' })
  await unwanted.getByRole('button', { name: 'Delete' }).click()
  await expect(unwanted).toHaveCount(0)
  await owner.reload()
  await expect(failed).toBeVisible()
  await expect(unwanted).toHaveCount(0)
  twilio.end()
})

// S10, S12, S16, S22, S35, S36, S37, S40
test('a channel is connected with the form of its provider, switched off and deleted', async ({ owner }) => {
  await owner.goto(at(owner, 'channels/connect'))
  await owner.getByRole('link', { name: /^WhatsApp .*through Twilio/ }).click()
  await owner.getByLabel('Display name').fill('Second line')
  for (const [label, value] of Object.entries({
    'Account SID': 'wrong',
    'Auth token': 'x'.repeat(32),
    Number: 'whatsapp:+14155238887'
  }))
    await owner.getByLabel(label, { exact: true }).fill(value)
  await expect(owner.getByRole('checkbox', { name: /Switch it on/ })).toBeDisabled()
  await owner.getByLabel('Group for new conversations').selectOption({ label: 'Support' })
  await owner.getByRole('checkbox', { name: /Switch it on/ }).uncheck()
  await owner.getByRole('button', { name: 'Connect', exact: true }).click()
  await expect(owner.getByText(/An account SID is/).first()).toBeVisible()
  await owner.getByLabel('Account SID', { exact: true }).fill('AC00000000000000000000000000000002')
  await owner.getByRole('button', { name: 'Connect', exact: true }).click()
  await expect(owner.getByLabel('Webhook address')).toHaveValue(/\/hooks\//)
  await owner.getByRole('button', { name: 'Delete the channel' }).click()
  const dialog = owner.getByRole('dialog')
  await expect(dialog.getByRole('button', { name: 'Delete', exact: true })).toBeDisabled()
  await dialog.getByLabel('Type Second line to confirm').fill('Second line')
  await dialog.getByRole('button', { name: 'Delete', exact: true }).click()
  await expect(owner.getByRole('heading', { name: 'Channels' })).toBeVisible()
  await expect(owner.getByText('Second line')).toHaveCount(0)
})

// S09, S92
test('an escalation is announced and taken', async ({ browser, server, owner }) => {
  await owner.goto(at(owner, 'people'))
  await owner.getByRole('listitem').filter({ hasText: 'Support' }).getByRole('button', { name: 'Edit' }).click()
  await owner.getByRole('dialog').getByRole('checkbox', { name: OWNER.name }).check()
  await owner.getByRole('dialog').getByRole('button', { name: 'Save' }).click()
  await expect(owner.getByRole('dialog')).toHaveCount(0)
  const { say } = await visitor(browser, server)
  await say('This is an emergency, call me')
  await owner
    .getByRole('banner')
    .getByRole('link', { name: /^Notifications, [1-9]/ })
    .click()
  const notice = owner.getByRole('listitem').filter({ hasText: 'Escalation' }).first()
  await notice.getByRole('button', { name: 'Take it' }).click()
  await expect(owner).toHaveURL(/\/chats\/cnv_/)
  await expect(owner.getByRole('log').getByText('This is an emergency, call me')).toBeVisible()
  await expect(owner.getByRole('complementary', { name: 'Details' }).getByText(OWNER.name)).toBeVisible()
})

// S93, S94
test('an agent sees the conversations of their own groups only and cannot set up', async ({
  browser,
  server,
  owner
}) => {
  await owner.goto(at(owner, 'people'))
  await owner.getByRole('button', { name: 'New person' }).click()
  const form = owner.getByRole('dialog')
  await form.getByLabel('Name').fill('Ben Ode')
  await form.getByLabel('E-mail').fill('ben@example.com')
  await form.getByLabel('Password').fill('correct horse')
  await form.getByRole('button', { name: 'Save' }).click()
  await owner.getByRole('listitem').filter({ hasText: 'Billing' }).getByRole('button', { name: 'Edit' }).click()
  await form.getByRole('checkbox', { name: 'Ben Ode' }).check()
  await form.getByRole('button', { name: 'Save' }).click()
  await expect(form).toHaveCount(0)

  for (const text of ['Is this the shop?', 'My invoice is wrong']) await (await visitor(browser, server)).say(text)
  const ben = await signIn(browser, server, { email: 'ben@example.com', password: 'correct horse' })
  const list = ben.getByRole('region', { name: 'Live chats' })
  await expect(list.getByRole('link').filter({ hasText: 'Billing' }).first()).toBeVisible()
  await expect(list.getByText('Is this the shop?')).toHaveCount(0)
  await expect(ben.getByRole('navigation').getByRole('link', { name: 'API keys' })).toHaveCount(0)
})

// S100
test('nothing is lost while the server is away: the draft stays, the stream goes on', async ({ browser }) => {
  const server = await new Server().start()
  const page = await (await browser.newContext()).newPage()
  await signInAsOwner(server, page)
  const { read, say } = await visitor(browser, server)
  await say('Are you there?')
  await page.getByRole('listitem').filter({ hasText: 'Are you there?' }).getByRole('link').click()
  await page.getByLabel('Your answer').fill('One moment')
  await server.restart(async () => {
    await expect(page.getByText('Connection lost, trying again')).toBeVisible()
    await page.getByLabel('Your answer').press('Enter')
    await expect(page.getByText('The server cannot be reached.').first()).toBeVisible()
    await expect(page.getByLabel('Your answer')).toHaveValue('One moment')
  })
  await expect(page.getByText('Connection lost, trying again')).toHaveCount(0)
  await page.reload()
  await expect(page.getByLabel('Your answer')).toHaveValue('One moment')
  await page.getByLabel('Your answer').press('Enter')
  await expect(read('One moment')).toBeVisible()
  await say('Thank you')
  await expect(page.getByRole('log').getByText('Thank you')).toBeVisible()
  await server.end()
})
