// What admins set up and operators look at.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { findings } from './axe'
import { at, call, expect, groupOf, test, visitor } from './server'
import { Waha } from './waha'

test('limits and retention are set, and a wrong figure is named at its field', async ({ owner }) => {
  await owner.goto(at(owner, 'settings'))
  const webhooks = owner.getByLabel(/^Webhooks of vendors/)
  await webhooks.fill('9999')
  await owner.getByRole('button', { name: 'Save' }).click()
  await expect(owner.getByRole('alert')).toBeVisible()
  await expect(webhooks).toHaveAttribute('aria-invalid', 'true')
  await webhooks.fill('7')
  const limits = owner.getByRole('region', { name: 'What rules may send on their own' })
  await limits.getByRole('button', { name: 'Remove the limit' }).first().click()
  await limits.getByLabel('Messages at most').first().fill('12')
  await owner.getByRole('button', { name: 'Save' }).click()
  await expect(owner.getByText('Saved', { exact: true })).toBeVisible()
  await owner.reload()
  await expect(webhooks).toHaveValue('7')
  await expect(limits.getByLabel('Messages at most')).toHaveCount(4)
  await expect(limits.getByLabel('Messages at most').first()).toHaveValue('12')
})

test('a delivery shows its body and calls, and is replayed', async ({ browser, server, owner }) => {
  let status = 500
  const receiver = createServer((_, response) => response.writeHead(status).end('not now'))
  await new Promise<void>((done) => receiver.listen(0, '127.0.0.1', done))
  await owner.goto(at(owner, 'webhooks'))
  await owner.getByRole('button', { name: 'New webhook' }).click()
  const form = owner.getByRole('dialog')
  await form.getByLabel('Name').fill('crm')
  await form
    .getByLabel('Address', { exact: true })
    .fill(`http://127.0.0.1:${(receiver.address() as AddressInfo).port}/in`)
  await form.getByLabel('Events').fill('message.received')
  await form.getByRole('checkbox', { name: /Allow an address in your own network/ }).check()
  await form.getByRole('button', { name: 'Save' }).click()
  await form.getByRole('button', { name: 'Done' }).click()
  await (await visitor(browser, server)).say('Tell the CRM')

  await owner.getByRole('link', { name: /crm/ }).click()
  const row = owner.getByRole('row').filter({ hasText: 'message.received' })
  await expect(async () => {
    await owner.reload()
    await expect(row.getByText('500').or(row.getByText(/answered/i))).toBeVisible({ timeout: 500 })
  }).toPass()
  await row.getByRole('button', { name: 'message.received' }).click()
  await expect(form.getByText('"type": "message.received"')).toBeVisible()
  await expect(form.getByText('not now')).toBeVisible()
  status = 200
  await form.getByRole('button', { name: 'Replay' }).click()
  await expect(form).toHaveCount(0)
  await expect(async () => {
    await owner.reload()
    await expect(row.getByText('delivered')).toBeVisible({ timeout: 500 })
  }).toPass()
  receiver.close()
  receiver.closeAllConnections()
})

test('a webhook that nobody could read is looked at and read again', async ({ owner }) => {
  const waha = await Waha.start()
  const channel = await call(owner, 'POST', 'channels', waha.channel('Garbled phone', await groupOf(owner, 'Support')))
  await call(owner, 'POST', `channels/${channel.id}/session/start`, {})
  await waha.garble()
  await owner.goto(at(owner, 'operations'))
  const raw = owner.getByRole('region', { name: 'Webhooks that came in' })
  const row = raw.getByRole('row').filter({ hasText: 'Garbled phone' })
  await expect(row.getByText('not readable')).toBeVisible()
  await row.getByRole('button', { name: 'Show' }).click()
  await expect(owner.getByRole('dialog').getByText('{"event":')).toBeVisible()
  await owner.keyboard.press('Escape')
  await row.getByRole('button', { name: 'Read again' }).click()
  await expect(
    owner
      .getByRole('status')
      .getByText(/was read|were read/)
      .or(owner.locator('.toast.problem'))
  ).toBeVisible()
  waha.end()
})

test('a plugin shows what it may do, what its channels can do, and which file it is', async ({ owner }) => {
  await owner.goto(at(owner, 'plugins'))
  await owner.getByRole('link', { name: /Twilio/ }).click()
  await expect(owner.getByText('https://api.twilio.com')).toBeVisible()
  await expect(owner.getByText('Auth token', { exact: true })).toBeVisible()
  await expect(owner.getByText(/^[0-9a-f]{64}$/)).toBeVisible()
  const whatsapp = owner.getByRole('region', { name: 'WhatsApp', exact: true })
  await expect(whatsapp.getByText('up to 1600 characters')).toBeVisible()
  await expect(whatsapp.getByRole('listitem').filter({ hasText: 'Templates: yes' })).toBeVisible()
})

test('a plugin is installed from a file, upgraded with consent, and removed', async ({ owner }) => {
  const built = join(import.meta.dirname, '../../tests/fixtures/contract-1.0.0/provider.wasm')
  const first = readFileSync(built)
  // Another file of the same form: its one fixed origin is another one of the same length.
  const second = Buffer.from(
    first.toString('latin1').replaceAll('https://api.example.com', 'https://new.example.com'),
    'latin1'
  )
  const file = (buffer: Buffer) => ({ name: 'guest.wasm', mimeType: 'application/wasm', buffer })
  await owner.goto(at(owner, 'plugins'))
  await owner.getByRole('button', { name: 'Install a plugin' }).click()
  const dialog = owner.getByRole('dialog', { name: 'Install a plugin' })
  const choice = dialog.getByLabel('Plugin file')
  await choice.setInputFiles(file(Buffer.from('<html>not found</html>')))
  await expect(dialog.getByRole('alert')).toContainText('P103')
  await choice.setInputFiles(file(first))
  await expect(dialog.getByText('https://api.example.com')).toBeVisible()
  await expect(dialog.getByText(/^[0-9a-f]{64}$/)).toBeVisible()
  const sms = dialog.getByRole('group').filter({ hasText: 'What SMS can do' })
  await sms.getByText('What SMS can do').click()
  await expect(sms.getByText(/^up to \d+ /)).toBeVisible()
  // Looking installs nothing.
  const { items } = await call<{ items: { name: string }[] }>(owner, 'GET', 'plugins')
  expect(items.map((it) => it.name)).not.toContain('Sandbox guest')
  await dialog.getByRole('button', { name: 'Install', exact: true }).click()
  await expect(owner.getByRole('heading', { name: 'Sandbox guest' })).toBeVisible()

  await owner.getByRole('button', { name: 'Upgrade' }).click()
  await choice.setInputFiles(file(first))
  await expect(dialog.getByText('This very file is in use.')).toBeVisible()
  await choice.setInputFiles(file(second))
  await expect(dialog.getByText('may also connect to https://new.example.com')).toBeVisible()
  await expect(dialog.getByText('no longer connects to https://api.example.com')).toBeVisible()
  expect(await findings(owner, 'light')).toEqual([])
  const upgrade = dialog.getByRole('button', { name: 'Upgrade' })
  await expect(upgrade).toBeDisabled()
  await dialog.getByRole('checkbox', { name: /It may connect to more than the one in use/ }).check()
  await upgrade.click()
  await expect(dialog).toHaveCount(0)
  await expect(owner.getByText('https://new.example.com')).toBeVisible()

  await owner.getByRole('button', { name: 'Remove', exact: true }).click()
  const removal = owner.getByRole('dialog')
  await expect(removal.getByRole('button', { name: 'Remove' })).toBeDisabled()
  const id = new URL(owner.url()).pathname.split('/').at(-1) ?? ''
  await removal.getByLabel(`Type ${id} to confirm`).fill(id)
  await removal.getByRole('button', { name: 'Remove' }).click()
  await expect(owner.getByRole('heading', { name: 'Plugins' })).toBeVisible()
  await expect(owner.getByRole('link', { name: /Sandbox guest/ })).toHaveCount(0)
})
