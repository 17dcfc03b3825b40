// What is done to channels: linking a phone, choosing a number.
import { at, expect, test } from './server'
import { Twilio } from './twilio'
import { Waha } from './waha'

// S05, S25, S26, S27, S28, S30, S31
test('a phone is linked by its QR code, shows whose it is, only reads along, and is let go', async ({ owner }) => {
  const waha = await Waha.start()
  await owner.goto(at(owner, 'channels/connect'))
  await owner.getByRole('link', { name: /WAHA/ }).click()
  await expect(owner.getByText('Use it with caution.')).toBeVisible()
  await owner.getByLabel('Display name').fill('Desk phone')
  for (const [label, value] of Object.entries(waha.form())) await owner.getByLabel(label, { exact: true }).fill(value)
  await owner.getByRole('checkbox', { name: /Allow an address in your own network/ }).check()
  await owner.getByLabel('Group for new conversations').selectOption({ label: 'Support' })
  await owner.getByRole('button', { name: 'Connect', exact: true }).click()

  const phone = owner.getByRole('region', { name: 'Linked phone' })
  const link = phone.getByRole('button', { name: 'Link a phone' })
  await expect(link).toBeEnabled()
  // A question that is not answered yet keeps nobody from linking.
  let answer = () => {}
  const answers = new Promise<void>((done) => (answer = done))
  await owner.route('**/session', async (route) => {
    await answers
    await route.continue()
  })
  const isAsked = owner.waitForRequest('**/session')
  await phone.getByRole('button', { name: 'Refresh' }).click()
  await isAsked
  await expect(link).toBeEnabled()
  await link.click()
  answer()
  await expect(phone.getByText('The session starts.')).toBeVisible()
  await waha.becomes('SCAN_QR_CODE')
  const code = phone.getByRole('img', { name: 'QR code to scan with the phone' })
  await expect(code).toBeVisible()
  const isDrawn = () => code.evaluate((it: HTMLImageElement) => it.complete && it.naturalWidth > 100)
  await expect.poll(isDrawn).toBe(true)
  await expect(phone.getByText(/A new code in \d+ s/)).toBeVisible()
  // The vendor's next code replaces it by itself.
  const first = await code.getAttribute('src')
  const asked = waha.asked
  await waha.becomes('SCAN_QR_CODE')
  await expect.poll(() => waha.asked).toBeGreaterThan(asked)
  await expect(code).not.toHaveAttribute('src', first ?? '')
  await phone.getByText('Link with the phone number instead').click()
  await phone.getByLabel('Number of the phone').fill('+34600000077')
  await phone.getByRole('button', { name: 'Get a code' }).click()
  await expect(phone.getByText('ABCD-EFGH')).toBeVisible()

  await waha.becomes('WORKING')
  await expect(phone.getByText('Ana of Support')).toBeVisible()
  await expect(phone.getByText('+34600000077', { exact: true })).toBeVisible()
  await expect(code).toHaveCount(0)
  await expect(owner.getByRole('region', { name: 'State' }).getByText('Connected')).toBeVisible()

  await phone.getByRole('checkbox', { name: /Receive only/ }).check()
  await waha.say('12132132130', '3A0000000000000001', 'Read along, please')
  await owner.getByRole('navigation').getByRole('link', { name: 'Live chats' }).click()
  await owner.getByRole('listitem').filter({ hasText: 'Read along, please' }).getByRole('link').click()
  await expect(owner.getByText('This channel only reads along.')).toBeVisible()

  await owner.getByRole('navigation').getByRole('link', { name: 'Channels' }).click()
  await owner.getByRole('link', { name: /Desk phone/ }).click()
  await phone.getByRole('button', { name: 'Disconnect' }).click()
  await owner.getByRole('dialog').getByRole('button', { name: 'Disconnect' }).click()
  await expect(phone.getByRole('button', { name: 'Link a phone' })).toBeVisible()
  expect(waha.status).toBe('STOPPED')
  waha.end()
})

// S34, S35, S38
test('a number is chosen from those of the account, or entered by hand', async ({ owner }) => {
  const twilio = await Twilio.start()
  await owner.goto(at(owner, 'channels/connect'))
  const card = owner.getByRole('link', { name: /WhatsApp.*through Twilio/ })
  await expect(card.getByText('Recommended')).toBeVisible()
  await expect(owner.getByRole('link', { name: /SMS.*through Twilio/ }).getByText('Recommended')).toHaveCount(0)
  await card.click()
  for (const [label, value] of Object.entries(twilio.account()))
    await owner.getByLabel(label, { exact: true }).fill(value)
  await owner.getByText('More settings').click()
  await owner.getByLabel(/^API address/).fill(twilio.url)
  await owner.getByRole('checkbox', { name: /Allow an address in your own network/ }).check()
  await owner.getByRole('button', { name: 'Look up' }).click()
  const number = owner.getByLabel('Number', { exact: true })
  await expect(number).toHaveValue('whatsapp:+14155238886')
  const choice = owner.getByLabel('Numbers of the account')
  await expect(choice).toHaveValue('whatsapp:+14155238886')
  await choice.selectOption('whatsapp:+14155238890')
  await expect(number).toHaveValue('whatsapp:+14155238890')
  await number.fill('whatsapp:+14155230000')
  await expect(choice).toHaveValue('')
  twilio.end()
})
