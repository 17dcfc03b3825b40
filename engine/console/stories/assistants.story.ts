// What people see and set of assistants: adding one, letting it read a channel, asking it, and why it is silent.
import { findings, width } from './axe'
import { MODEL, Model } from './model'
import { at, call, expect, Server, signIn, signInAsOwner, test, visitor } from './server'

const NARROW = 360

// S89, S90, S91
test('an admin adds an assistant and lets it read a channel; insights, drafts and hand-over are seen', async ({
  browser
}) => {
  test.slow() // a server of its own, so that no other story's chats are read by the assistant
  const [server, model] = [await new Server().start(), await Model.start()]
  const owner = await (await browser.newContext()).newPage()
  await signInAsOwner(server, owner)

  await owner.getByRole('navigation').getByRole('link', { name: 'Assistants' }).click()
  await expect(owner.getByText('No assistants yet')).toBeVisible()
  await owner.getByRole('main').getByRole('link', { name: 'Add an assistant' }).first().click()
  await owner.getByRole('link', { name: /OpenAI and compatible/ }).click()
  await owner.getByLabel('Name').fill('Ada')
  await owner.getByText('More settings').click()
  const form = model.form()
  for (const [label, value] of Object.entries(form)) await owner.getByLabel(new RegExp(`^${label}( ·|$)`)).fill(value)
  await owner.getByRole('checkbox', { name: /Allow an address in your own network/ }).check()
  await owner.getByLabel(/^Instructions/).fill('You work for a bicycle shop.')
  await owner.getByRole('button', { name: 'Add', exact: true }).click()

  // The vendor is asked whether it works, and which models it has.
  await expect(owner.getByRole('heading', { name: 'Ada' })).toBeVisible()
  await owner.getByRole('button', { name: 'Test the connection' }).click()
  await expect(owner.getByLabel('Models of the vendor')).toBeVisible()
  await owner.getByLabel('Models of the vendor').selectOption(MODEL)
  await owner.getByText('What it may do').click()
  await owner.getByLabel('Silence before it answers, seconds').fill('999')
  await owner.getByRole('button', { name: 'Save' }).click()
  await expect(owner.getByRole('alert')).toBeVisible()
  await expect(owner.getByLabel('Silence before it answers, seconds')).toHaveAttribute('aria-invalid', 'true')
  await owner.getByLabel('Silence before it answers, seconds').fill('0')
  await owner.getByRole('button', { name: 'Save' }).click()
  await expect(owner.getByText('Saved', { exact: true })).toBeVisible()
  await owner.getByRole('button', { name: 'Test the connection' }).click()
  await expect(owner.getByText('It works.')).toBeVisible()

  // Nothing of a channel is read before it is said so there.
  await owner.getByRole('region', { name: 'Channels' }).getByRole('link').first().click()
  const consent = owner.getByRole('checkbox', { name: /may be sent to an assistant/ })
  await expect(consent).not.toBeChecked()
  await consent.check()
  await expect(owner.getByText(/go to the vendor of the assistant's model/)).toBeVisible()
  await owner.getByRole('checkbox', { name: /It may answer contacts/ }).check()
  const card = owner.locator('form').filter({ has: consent })
  await card.getByLabel(/^Tokens a day/).fill('100000')
  await card.getByRole('button', { name: 'Save' }).click()
  await expect(owner.getByText('Saved').last()).toBeVisible()

  const customer = await visitor(browser, server)
  await customer.say('Where is my money?')
  await owner.goto(at(owner, 'chats'))
  await owner.getByRole('listitem').filter({ hasText: 'Where is my money?' }).getByRole('link').click()
  const details = owner.getByRole('complementary', { name: 'Details' })
  const insights = details.getByRole('region', { name: 'Insights' })
  await expect(insights.getByText('Nobody has asked the assistant yet.')).toBeVisible()
  await insights.getByRole('button', { name: 'Ask now' }).click()
  await expect(insights.getByText('The customer waits for a refund.')).toBeVisible()
  await expect(insights.getByText('Unhappy')).toBeVisible()
  await expect(insights.getByText(/writes in Spanish · stand-in-1/)).toBeVisible()
  const list = owner.getByRole('region', { name: 'Live chats' })
  await expect(list.getByTitle('Unhappy')).toBeVisible()

  // A draft comes into the composer, can be taken back, and is sent by nobody but the person.
  const answer = owner.getByLabel('Your answer')
  await answer.fill('Let me')
  await owner.getByRole('button', { name: 'Suggest' }).click()
  await expect(answer).toHaveValue('We open at nine.')
  await expect(owner.getByText(/The assistant's draft: read it before you send it · stand-in-1/)).toBeVisible()
  await owner.getByRole('button', { name: 'Take it back' }).click()
  await expect(answer).toHaveValue('Let me')
  expect((await call(owner, 'GET', 'conversations?live=true')).items[0].last_outbound_at).toBeNull()
  model.isDown = true
  await owner.getByRole('button', { name: 'Suggest' }).click()
  await expect(owner.getByText(/The assistant could not do it\. Try again in a moment/)).toBeVisible()
  model.isDown = false

  // It gives up: people see why, in the thread and in the history, with what it took.
  model.handsOver = 'They want their money back.'
  await owner.getByRole('button', { name: 'AI off' }).click()
  await expect(owner.getByRole('button', { name: 'AI on' })).toBeVisible()
  await customer.say('Hello?')
  await expect(owner.getByText('The assistant gave this to people: They want their money back.')).toBeVisible()
  await expect(details.getByRole('region', { name: 'Assistant' }).getByText(/by the assistant/)).toBeVisible()
  await details.getByRole('button', { name: 'History' }).click()
  await expect(details.getByText(/Answer: given to people · They want .* · stand-in-1 · .* · 451 tokens/)).toBeVisible()
  await expect(details.getByText(/Draft: done · stand-in-1 · /)).toBeVisible()
  for (const colours of ['light', 'dark'] as const) {
    await owner.emulateMedia({ colorScheme: colours })
    await details.getByRole('button', { name: 'About' }).click()
    expect(await findings(owner, colours), colours).toEqual([])
  }
  await owner.emulateMedia({ colorScheme: 'light' })

  // What was used stands beside what may be.
  await owner.getByRole('navigation').getByRole('link', { name: 'Assistants' }).click()
  const row = owner.getByRole('row').filter({ has: owner.getByRole('link', { name: 'Website' }) })
  await expect(row.getByText(/[\d,]+ of 100,000/)).toBeVisible()
  await owner.getByLabel(/^Tokens a day/).fill('1')
  await owner.getByRole('button', { name: 'Save' }).click()
  await expect(owner.getByRole('row').filter({ hasText: 'All together' }).getByText('used up')).toBeVisible()
  await owner.goBack()
  await owner.getByRole('button', { name: 'Ask now' }).click()
  await expect(owner.getByText(/Nothing is left for assistants today\. An admin can raise the limit/)).toBeVisible()

  // Whoever answers sees what it makes of a chat; setting up is for admins.
  const ben = { name: 'Ben Ode', email: 'ben@example.com', password: 'correct horse', role: 'agent' }
  const user = await call(owner, 'POST', 'users', ben)
  const groups = await call(owner, 'GET', 'groups')
  for (const group of groups.items) await call(owner, 'PATCH', `groups/${group.id}`, { members: [user.id] })
  const page = await signIn(browser, server, ben)
  await page.getByRole('region', { name: 'Live chats' }).getByRole('link').first().click()
  await expect(page.getByRole('region', { name: 'Insights' }).getByText('Unhappy')).toBeVisible()
  await expect(page.getByRole('button', { name: 'Suggest' })).toBeVisible()
  await expect(page.getByRole('navigation').getByRole('link', { name: 'Assistants' })).toHaveCount(0)

  // Deleting it takes its name, and its channels are read by nobody.
  await owner.getByRole('navigation').getByRole('link', { name: 'Assistants' }).click()
  await owner.getByRole('main').getByRole('listitem').getByRole('link', { name: /Ada/ }).click()
  await owner.getByRole('button', { name: 'Delete the assistant' }).click()
  const dialog = owner.getByRole('dialog')
  await expect(dialog.getByRole('button', { name: 'Delete' })).toBeDisabled()
  await dialog.getByLabel(/^Type Ada/).fill('Ada')
  await dialog.getByRole('button', { name: 'Delete' }).click()
  await expect(owner.getByText('No assistants yet')).toBeVisible()
  expect((await call(owner, 'GET', 'channels')).items[0].assistant).toBeNull()
  model.end()
  await server.end()
})

test('knowledge is written, changed and deleted, and a group tells assistants its part', async ({ owner }) => {
  await owner.goto(at(owner, 'assistants/knowledge'))
  await owner.getByRole('button', { name: 'New text' }).click()
  const dialog = owner.getByRole('dialog')
  await dialog.getByLabel('What it is about').fill('Opening hours')
  await dialog.getByLabel('What it says').fill('We open at nine.')
  expect(await findings(owner, 'light'), 'dialog').toEqual([])
  await dialog.getByRole('button', { name: 'Save' }).click()
  await expect(owner.getByText('We open at nine.')).toBeVisible()
  await owner.getByRole('button', { name: 'Edit Opening hours' }).click()
  await dialog.getByLabel('What it says').fill('We open at ten.')
  await dialog.getByRole('button', { name: 'Save' }).click()
  await expect(owner.getByText('We open at ten.')).toBeVisible()
  await owner.setViewportSize({ width: NARROW, height: 720 })
  expect(await width(owner)).toBeLessThanOrEqual(NARROW)
  await owner.setViewportSize({ width: 1440, height: 900 })
  await owner.getByRole('button', { name: 'Edit Opening hours' }).click()
  await dialog.getByRole('button', { name: 'Delete' }).click()
  await owner.getByRole('dialog').last().getByRole('button', { name: 'Delete' }).click()
  await expect(owner.getByText('No texts yet')).toBeVisible()

  await owner.goto(at(owner, 'people'))
  const edit = owner.getByRole('listitem').filter({ hasText: 'Billing' }).getByRole('button', { name: 'Edit' })
  await edit.click()
  await dialog.getByLabel(/^What assistants are told/).fill('Never promise a refund.')
  await dialog.getByRole('button', { name: 'Save' }).click()
  await expect(dialog).toHaveCount(0)
  await edit.click()
  await expect(dialog.getByLabel(/^What assistants are told/)).toHaveValue('Never promise a refund.')
})
