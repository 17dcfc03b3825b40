// The pictures of the README, made by `make pictures` from what the console really shows; elsewhere there is nothing to
// do.
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { at, call, expect, test } from './server'
import { Twilio } from './twilio'

const PICTURES = resolve(import.meta.dirname, '../../../docs/pictures')
const PEOPLE = [
  ['Lena Fischer', 'Can I change the delivery address?'],
  ['Tomás Rivas', '¿Tienen la talla 42 en azul?'],
  ['Aiko Tanaka', 'The discount code does not work'],
  ['Samuel Okafor', 'Thanks, that was quick!'],
  ['Nora Lindqvist', 'I was charged twice for order 1042']
] as const

const RULE = `//! Double charges go to Billing
//!
//! on: message.received
//! channels: whatsapp
//! stage: reply
//! position: 4

let words = ["invoice", "refund", "charged twice"];

if message.text.contains_any(words) && conversation.assignee == () {
    route_to_group("Billing");
    set_priority("high");
    send_message(\`Sorry about that, \${contact.name ?? "there"}. Billing is looking at it.\`);
}
`
const CASES = `[[case]]
name = "a double charge goes to Billing"
given.message.text = "I was charged twice"
expect = ['route_to_group("Billing")', "set_priority", "send_message"]

[[case]]
name = "anything else stays where it is"
given.message.text = "Hello"
none = true
`

test.skip(!process.env.POINTSMAN_PICTURES, 'only `make pictures` makes them')

test('the pictures of the README', async ({ server, owner }) => {
  mkdirSync(PICTURES, { recursive: true })
  const twilio = await Twilio.start()
  const groups = await call(owner, 'GET', 'groups')
  const support = groups.items.find((it: { name: string }) => it.name === 'Support').id
  const channel = await call(owner, 'POST', 'channels', twilio.channel('Shop WhatsApp', support))
  twilio.delivers(channel.webhook_url)
  const rule = await call(owner, 'POST', 'rules', { source: RULE, cases: CASES })
  for (const [n, [name, text]] of PEOPLE.entries()) {
    expect(await twilio.say(`+3460000010${n}`, `SM${String(n).repeat(32)}`, text, name)).toBe(200)
    await server.advance(180_000)
  }
  await owner.goto(at(owner, 'chats'))
  await owner.getByRole('listitem').filter({ hasText: 'Nora Lindqvist' }).getByRole('link').click()
  await expect(owner.getByRole('log').getByText('Billing is looking at it')).toBeVisible()
  await owner.getByLabel('Your answer').fill('Hello Nora, I am looking at order 1042 now.')
  await owner.keyboard.press('Enter')
  await expect.poll(() => twilio.sent.some((form) => form.get('Body')?.startsWith('Hello Nora'))).toBe(true)
  await owner.getByLabel('Your answer').fill('The second charge is being returned to your card.')
  await owner.getByRole('button', { name: 'History' }).click()
  await expect(owner.getByText(/Rules: \d+ of/).first()).toBeVisible()
  await owner.screenshot({ path: join(PICTURES, 'console.png') })

  await owner.goto(at(owner, `rules/${rule.id}`))
  await owner.getByRole('button', { name: 'Try it', exact: true }).click()
  const side = owner.getByRole('complementary', { name: 'Try it' })
  await side.getByText('Something that happened').click()
  const option = side.getByLabel('Conversation').locator('option').filter({ hasText: 'Nora Lindqvist' })
  await side.getByLabel('Conversation').selectOption((await option.getAttribute('value'))!)
  const event = side.getByLabel('Event').locator('option').filter({ hasText: 'The contact wrote' }).last()
  await side.getByLabel('Event').selectOption((await event.getAttribute('value'))!)
  await side.getByRole('button', { name: 'Run it' }).click()
  await expect(owner.locator('.cm-ran').first()).toBeVisible()
  await owner.screenshot({ path: join(PICTURES, 'rule-editor.png') })
  twilio.end()
})
