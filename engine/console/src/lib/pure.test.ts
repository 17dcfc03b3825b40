// The console's pure parts: what is shown and checked without a browser or a server.
import { describe, expect, it } from 'vitest'
import en from '../../messages/en.json'
import es from '../../messages/es.json'
import { refusal, type Conversation, type Message, type Template } from './api'
import { handedOver, isSpent, micros, money, sum, units, utcDay, workedText, type Line } from './assistants'
import { bytes, fileProblem, length, type Capabilities } from './capabilities'
import { lines, pairs } from './diff'
import { differences } from './differences'
import { emptyFilter, matches, placed } from './filter'
import { gathered, intentText } from './history'
import { formOf, held, type Form } from './form'
import { ASKINGS, EVENTS, FACTS, operand, operatorsFor } from './grammar'
import { fill, said } from './i18n.svelte'
import { changed, changes, given, start, type Manifest, type Setting } from './manifest'
import { beginsDay, continues, merged } from './messages'
import { moved } from './order'
import { inOrder } from './overtaken'
import { called, hue, initials } from './person'
import { into, visible } from './rows'
import { SseParser } from './sse'
import { choices, missing, preview } from './template'
import { brief, day, left, span } from './time'
import { notes, written, type LineTrace } from './trace'
import { meaning } from './vocabulary'

const NOW = Date.parse('2026-11-21T12:00:00')

describe('messages files', () => {
  it('say the same things with the same holes in every language', () => {
    expect(Object.keys(es)).toEqual(Object.keys(en))
    const holes = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort()
    for (const key of Object.keys(en) as (keyof typeof en)[]) expect(holes(es[key]), key).toEqual(holes(en[key]))
    expect(fill('{n} of {max} {other}', { n: 1, max: 2 })).toBe('1 of 2 {other}')
  })
})

describe('the stream', () => {
  it('puts pieces together, whatever their borders', () => {
    const parser = new SseParser()
    expect(parser.push(': hello\nretry: 1000\n\nid: evt_1\nevent: message.rec')).toEqual([])
    expect(parser.push('eived\ndata: {"a":\ndata: 1}\n\nid: 2\r\ndata: x\r\n\r\n')).toEqual([
      { id: 'evt_1', event: 'message.received', data: '{"a":\n1}' },
      { id: '2', event: 'message', data: 'x' }
    ])
  })
})

describe('lists', () => {
  const at = (id: string, last: string, more: object = {}) =>
    ({ id, live: true, status: 'open', last_activity_at: last, ...more }) as Conversation
  it('keep the newest first and let go of what no longer belongs', () => {
    const list = [at('b', '2026-02-02'), at('a', '2026-01-01')]
    const filter = emptyFilter('chats')
    expect(placed(list, at('a', '2026-03-03'), filter).map((it) => it.id)).toEqual(['a', 'b'])
    expect(placed(list, at('c', '2026-01-15'), filter).map((it) => it.id)).toEqual(['b', 'c', 'a'])
    expect(placed(list, at('b', '2026-03-03', { live: false }), filter).map((it) => it.id)).toEqual(['a'])
  })
  it('apply every part of a filter', () => {
    const filter = { ...emptyFilter('chats'), assignee: 'none', status: 'open', group: 'g', channel: 'c' }
    const fitting = { group: 'g', channel: 'c', assignee: null }
    expect(matches(at('a', '', fitting), filter)).toBe(true)
    for (const wrong of [
      { group: 'h' },
      { channel: 'd' },
      { assignee: 'u' },
      { status: 'closed' },
      { archived_at: '2026' }
    ]) {
      expect(matches(at('a', '', { ...fitting, ...wrong }), filter), JSON.stringify(wrong)).toBe(false)
    }
  })
})

describe('threads', () => {
  const said = (id: string, seq: number, when: string, more: object = {}) =>
    ({ id, seq, at: when, direction: 'inbound', sender: { kind: 'contact', id: null }, ...more }) as Message
  it('merge pages and take the newer word about a message', () => {
    const found = merged(
      [said('b', 2, ''), said('a', 1, '', { status: 'queued' })],
      [said('c', 3, ''), said('a', 1, '', { status: 'sent' })]
    )
    expect(found.map((it) => `${it.id}${it.status ?? ''}`)).toEqual(['asent', 'b', 'c'])
  })
  it('name the sender again after a while, a day, or somebody else', () => {
    const list = [
      said('a', 1, '2026-11-20T23:58:00'),
      said('b', 2, '2026-11-21T00:01:00'),
      said('c', 3, '2026-11-21T00:02:00'),
      said('d', 4, '2026-11-21T00:20:00')
    ]
    expect(list.map((_, index) => beginsDay(list, index))).toEqual([true, true, false, false])
    expect(list.map((_, index) => continues(list, index))).toEqual([false, false, true, false])
  })
})

// S59, S60, S61, S63
describe('what a channel takes', () => {
  const rule = (family: string, types: string[], max: number) => ({
    family,
    content_types: types,
    send_bytes_max: max,
    caption_max: null
  })
  const channel = {
    text_max: 10,
    text_unit: 'characters',
    attachments_max: 2,
    media: [rule('image', ['image/png'], 1000), rule('document', [], 5000)]
  } as unknown as Capabilities
  it('counts in the unit of the vendor', () => {
    expect(length('añ👍', 'characters')).toBe(3)
    expect(length('añ👍', 'utf16_units')).toBe(4)
    expect(length('añ👍', 'bytes')).toBe(7)
    expect([
      length('', 'sms_segments'),
      length('a'.repeat(160), 'sms_segments'),
      length('a'.repeat(161), 'sms_segments')
    ]).toEqual([0, 1, 2])
    expect([
      length('€'.repeat(80), 'sms_segments'),
      length('€'.repeat(81), 'sms_segments'),
      length('ш'.repeat(71), 'sms_segments')
    ]).toEqual([1, 2, 2])
  })
  it('refuses a file before it is uploaded and names the limit', () => {
    const file = (type: string, size: number) => ({ type, size })
    expect(fileProblem(channel, file('image/png', 1000), 0)).toBeNull()
    expect(fileProblem(channel, file('image/png', 1001), 0)).toEqual({ kind: 'size', max: 1000 })
    expect(fileProblem(channel, file('image/bmp', 1), 0)).toEqual({ kind: 'type', type: 'image/bmp' })
    expect(fileProblem(channel, file('application/pdf', 5000), 1)).toBeNull()
    expect(fileProblem(channel, file('application/pdf', 1), 2)).toEqual({ kind: 'count', max: 2 })
    expect(fileProblem({ ...channel, media: [] }, file('image/png', 1), 0)).toEqual({ kind: 'none', family: 'image' })
    expect([bytes(900), bytes(2048), bytes(1.5 * (1 << 20)), bytes(16 * (1 << 20))]).toEqual([
      '900 B',
      '2 kB',
      '1.5 MB',
      '16 MB'
    ])
  })
})

// S75, S76, S78, S79
describe('templates', () => {
  const of = (name: string, language: string, status = 'approved') =>
    ({ name, language, status, body: 'Hello {{1}}, about {{ order }}.', slots: ['1', 'order'] }) as Template
  it('are approved ones by name and language', () => {
    const list = choices([of('b', 'en'), of('a', 'es'), of('a', 'en'), of('c', 'en', 'rejected')], 'en')
    expect(list.map((it) => `${it.name}.${it.language}`)).toEqual(['a.en', 'a.es', 'b.en'])
  })
  it('show exactly what will be sent and what is missing', () => {
    const text = (slots: Record<string, string>) =>
      preview(of('a', 'en'), slots)
        .map((piece) => piece.text)
        .join('')
    expect(text({ '1': 'Ana', order: '7' })).toBe('Hello Ana, about 7.')
    expect(text({})).toBe('Hello {{1}}, about {{ order }}.')
    expect(missing(of('a', 'en'), { '1': 'Ana', order: '  ' }, {})).toEqual(['order'])
    const headed = { ...of('a', 'en'), slots: ['header.image'] }
    expect(missing(headed, { 'header.image': 'no file' }, {})).toEqual(['header.image'])
    expect(missing(headed, {}, { 'header.image': 'a file' })).toEqual([])
  })
})

describe('the history', () => {
  it('puts every rule beside the event it looked at, newest event first', () => {
    const event = (id: string, more: object) => ({
      type: 'event',
      at: id,
      event: { id, ...more },
      cause: { actor: { kind: 'contact' } }
    })
    const found = gathered([
      event('e1', { type: 'message.received', message: 'm' }),
      {
        type: 'run',
        at: 'e1',
        event: 'e1',
        rules: [
          { rule: 'r2', name: 'B', outcome: 'skipped', reason: 'channel' },
          { rule: 'r1', name: 'A', outcome: 'matched', intents: [[7, { intent: 'route_to_group', group: 'Billing' }]] }
        ]
      },
      event('e2', { type: 'conversation.status_changed', from: 'open', to: 'closed' })
    ] as never)
    expect(found.map((it) => it.type)).toEqual(['conversation.status_changed', 'message.received'])
    expect(found[0]?.detail).toBe('open → closed')
    expect(found[1]?.runs.map((run) => run.name)).toEqual(['A', 'B'])
    expect(found[1]?.runs[0]?.intents).toEqual([[7, 'route_to_group("Billing")']])
    expect(intentText({ intent: 'archive' })).toBe('archive()')
  })
})

describe('assistants', () => {
  const line = (tokens: number, cost_micros: number, currency = 'USD') =>
    ({ runs: 1, input_tokens: tokens, output_tokens: 1, cost_micros, currency }) as Line
  it('are counted in tokens and money', () => {
    const used = sum([line(10, 1_500), line(20, 500), line(0, 9_000, 'EUR'), line(0, 0, 'GBP')])
    expect(used).toEqual({ runs: 4, tokens: 34, money: { USD: 2_000, EUR: 9_000 } })
    expect(isSpent(used, { tokens: null, micros: null }, 'USD')).toBe(false)
    expect(isSpent(used, { tokens: 35, micros: 2_000 }, 'USD')).toBe(true)
    expect(isSpent(used, { tokens: 35, micros: 2_001 }, 'USD')).toBe(false)
    expect(utcDay(Date.parse('2026-11-21T23:30:00-02:00'))).toBe('2026-11-22')
  })
  it('cost whole units, which may be small', () => {
    expect(money({ USD: 1_200 }, 'USD', 'en')).toBe('$0.0012')
    expect(money({}, 'EUR', 'en')).toBe('€0.00')
    expect(money({ EUR: 200_000, USD: 1_500_000 }, 'USD', 'en')).toBe('$1.50 + €0.20')
    expect([micros(0.15), micros(null), units(150_000), units(null)]).toEqual([150_000, null, 0.15, null])
  })
  it('say what they did, and why they did not', () => {
    const ran = { task: 'reply', model: 'small', took_ms: 1_200, input_tokens: 420, output_tokens: 31 }
    const why = 'newer_message'
    expect(workedText({ ...ran, outcome: 'withheld', reason: why })).toBe(
      'Answer: not sent · the contact wrote again meanwhile · small · 1.2 s · 451 tokens'
    )
    const own = 'They want a person.'
    expect(workedText({ ...ran, outcome: 'handed_over', reason: own })).toContain(own)
  })
  it('are said to have handed over while somebody waits', () => {
    const ai = { state: 'off', by: { kind: 'assistant' }, reason: 'An invoice.' }
    const waiting = { ai, waiting_since: '2026-11-21T10:00:00Z' } as unknown as Conversation
    expect(handedOver(waiting)).toBe('An invoice.')
    expect(handedOver({ ...waiting, waiting_since: null })).toBeNull()
    expect(handedOver({ ...waiting, ai: { ...waiting.ai, by: { kind: 'user' } } })).toBeNull()
  })
  it('refuse in the words of the console where it has some', () => {
    expect(said({ code: 'assistant_failed', message: 'Too slow.' })).toContain('Try again in a moment')
    expect(said({ code: 'assistant_failed', message: 'Too slow.' })).toContain('(Too slow.)')
    expect(said({ code: 'never_heard_of', message: 'As the server says.' })).toBe('As the server says.')
  })
})

describe('times', () => {
  it('are as short as they can be understood', () => {
    expect(brief('2026-11-21T09:05:00', NOW, 'en-GB')).toBe('09:05')
    expect(brief('2026-11-19T09:05:00', NOW, 'en-GB')).toBe('Thu')
    expect(brief('2026-05-03T09:05:00', NOW, 'en-GB')).toBe('3 May')
    expect(brief('2025-05-03T09:05:00', NOW, 'en-GB')).toBe('3 May 2025')
    expect([day('2026-11-21T00:01:00', NOW, 'en'), day('2026-11-20T23:59:00', NOW, 'es')]).toEqual(['Today', 'Ayer'])
  })
  // S73
  it('count down to the end of the window', () => {
    const later = (ms: number) => left(new Date(NOW + ms).toISOString(), NOW)
    expect([later(23.5 * 3_600_000), later(59 * 60_000), later(1500), later(0)]).toEqual([
      '23 h 30 min',
      '59 min',
      '2 s',
      null
    ])
    expect([span(20), span(1500), span(61_000), span(7_200_000)]).toEqual(['20 ms', '1.5 s', '1 min', '2 h'])
  })
})

describe('people', () => {
  it('are called by name, number, or the end of an id', () => {
    const visitor = (end: string) => `Visitor ${end}`
    expect(called({ id: 'c', name: 'Ana', phone: '+1' }, visitor)).toBe('Ana')
    expect(called({ id: 'c', address: 'whatsapp:+34600' }, visitor)).toBe('+34600')
    expect(called({ id: 'c', address: 'vis_01ABCD' }, visitor)).toBe('Visitor ABCD')
    expect([initials('Ana María Gómez'), initials('+34 600'), initials('…')]).toEqual(['AG', '36', '?'])
    expect(hue('x')).toBe(hue('x'))
  })
})

describe('forms and refusals', () => {
  const setting = (name: string, type: string, more: object = {}) =>
    ({ name, label: name, help: '', kind: { type }, required: false, default: null, example: null, ...more }) as Setting
  it('say what an upgrade changes, what may be called first', () => {
    const about = (origins: string[], settings: Setting[], kinds: object[]) =>
      ({ origins, settings, kinds }) as unknown as Manifest
    const kind = (name: string, more: object) => ({ kind: name, label: name.toUpperCase(), capabilities: more })
    const before = about(
      ['https://a', 'https://b'],
      [setting('sid', 'text')],
      [kind('sms', { text_max: 160, media: [] }), kind('fax', {})]
    )
    const after = about(
      ['https://b', 'https://c'],
      [setting('sid', 'text'), setting('base', 'egress_url')],
      [kind('sms', { text_max: 1600, media: [] }), kind('rcs', {})]
    )
    expect(changes(before, after)).toEqual([
      { sign: '+', what: 'origin', name: 'https://c' },
      { sign: '-', what: 'origin', name: 'https://a' },
      { sign: '+', what: 'address', name: 'base' },
      { sign: '+', what: 'kind', name: 'RCS' },
      { sign: '-', what: 'kind', name: 'FAX' },
      { sign: '~', what: 'can', name: 'text_max', kind: 'SMS', was: '160', is: '1600' }
    ])
    expect(changes(after, after)).toEqual([])
  })
  it('send settings and secrets apart and leave out what is empty', () => {
    const form = [
      setting('sid', 'text'),
      setting('token', 'secret'),
      setting('retries', 'integer'),
      setting('fast', 'toggle'),
      setting('base', 'text', { default: 'https://x' })
    ]
    const values = start(form, { sid: 'AC1' })
    expect(values).toEqual({ sid: 'AC1', token: '', retries: '', fast: false, base: 'https://x' })
    expect(given(form, { ...values, token: 't', retries: '3' })).toEqual({
      settings: { sid: 'AC1', retries: 3, fast: false, base: 'https://x' },
      secrets: { token: 't' }
    })
    const emptied = changed(form, { ...values, base: '' })
    expect(emptied).toEqual({ settings: { sid: 'AC1', retries: null, fast: false, base: null }, secrets: {} })
  })
  it('keep what the server says, and survive what is no problem document', () => {
    const refused = refusal(422, {
      code: 'invalid',
      detail: 'Wrong.',
      errors: [{ pointer: '/name', message: 'is missing' }],
      request_id: 'req_1'
    })
    expect([refused.code, refused.message, refused.of('/name'), refused.request]).toEqual([
      'invalid',
      'Wrong.',
      'is missing',
      'req_1'
    ])
    expect(refusal(502, '<html>').message).toBe('HTTP 502')
  })
  it('show what changed and nothing else', () => {
    expect(differences({ a: 1, b: 'x' }, { a: 1, b: 'y', c: [1] })).toEqual([
      ['b', 'x', 'y'],
      ['c', '', '[1]']
    ])
  })
})

describe('rules', () => {
  it('show a diff as one column and as two', () => {
    const diff = '--- version 1\n+++ draft\n@@ -3,3 +3,4 @@\n same\n-old\n+new\n+more\n end\n@@ -20 +21 @@\n-a\n+b\n'
    const shown = (list: ReturnType<typeof lines>) =>
      list.map((it) => [it.kind, it.before?.number, it.before?.text, it.after?.number, it.after?.text])
    expect(shown(lines(diff))).toEqual([
      ['same', 3, 'same', 3, 'same'],
      ['changed', 4, 'old', undefined, undefined],
      ['changed', undefined, undefined, 4, 'new'],
      ['changed', undefined, undefined, 5, 'more'],
      ['same', 5, 'end', 6, 'end'],
      ['gap', undefined, undefined, undefined, undefined],
      ['changed', 20, 'a', undefined, undefined],
      ['changed', undefined, undefined, 21, 'b']
    ])
    expect(shown(pairs(lines(diff)))).toEqual([
      ['same', 3, 'same', 3, 'same'],
      ['changed', 4, 'old', 4, 'new'],
      ['changed', undefined, undefined, 5, 'more'],
      ['same', 5, 'end', 6, 'end'],
      ['gap', undefined, undefined, undefined, undefined],
      ['changed', 20, 'a', 21, 'b']
    ])
    expect(lines('')).toEqual([])
  })
  it('say beside a line whether it held and what it read', () => {
    const look = {
      text: 'a && b',
      value: false,
      parts: [
        {
          text: 'message.text.contains("x")',
          value: true,
          parts: [{ text: 'message.text', value: 'xyz' }]
        },
        { text: 'contact.name == ()', value: false, parts: [{ text: 'contact.name', value: null }] },
        { text: 'window.is_open', is_skipped: true }
      ]
    }
    const trace: LineTrace = {
      lines: [{ line: 3, times: 1 }],
      conditions: [
        { line: 3, column: 4, kind: 'if', times: 1, looks: [look] },
        { line: 2, column: 9, kind: 'let', times: 1, looks: [{ text: '1 + 1', value: 2 }] },
        { line: 1, column: 9, kind: 'let', times: 1, looks: [{ text: '["a", "b"]', value: ['a', 'b'] }] }
      ],
      is_cut: false
    }
    expect(notes(trace, 'nothing')).toEqual([
      { line: 2, holds: null, reads: [['1 + 1', '2']] },
      {
        line: 3,
        holds: false,
        reads: [
          ['message.text', '"xyz"'],
          ['contact.name', 'nothing']
        ]
      }
    ])
    expect(written('x'.repeat(99), '').length).toBeLessThan(70)
  })
  it('become forms and rules again without a loss', () => {
    const form: Form = {
      name: 'Refunds',
      on: ['message.received'],
      stage: 'reply',
      when: {
        all: [
          { test: { fact: 'message.text', is: 'contains_any', value: ['refund'] } },
          { none: [{ test: { fact: 'calendar.is_open', of: 'Office', is: 'equals', value: true } }] }
        ]
      },
      do: [{ call: 'send_template', with: ['a', null, { name: { fact: 'contact.name' } }] }]
    }
    expect(formOf(held(form))).toEqual(form)
    const bare: Form = { name: 'A', on: ['note.added'], do: [{ call: 'archive', with: [] }] }
    expect(formOf(held(bare))).toEqual(bare)
    const one = held({ ...bare, when: { test: { fact: 'message.text', is: 'present' } } })
    expect([one.when.kind, one.when.parts.length]).toEqual(['all', 1])
    const left = held(bare)
    left.asks[0]!.with = ['1h', null, null]
    expect(formOf(left).do[0]?.with).toEqual(['1h'])
  })
  it('know how facts compare', () => {
    expect(FACTS.find((fact) => fact.path === 'calendar.is_open')?.looksUp).toBe('calendar')
    expect(operatorsFor('moment').map((it) => it.name)).toEqual([
      'equals',
      'differs',
      'missing',
      'present',
      'longer_ago_than',
      'within_last'
    ])
    expect(['missing', 'equals', 'has_word', 'one_of', 'within_last'].map(operand)).toEqual([
      'none',
      'one',
      'many',
      'many',
      'duration'
    ])
  })
  it('tell what a name means', () => {
    expect(meaning('message.text')?.[0]).toBe('message.text: text')
    expect(meaning('message.text.contains_any')?.[0]).toBe('text.contains_any(parts: texts)')
    expect(meaning('route_to_group')?.[1]).toContain('Gives the conversation to a group')
    expect(meaning('message.received')?.[1]).toBe('A contact wrote.')
    expect(meaning('position')?.[0]).toBe('position: 20')
    expect(meaning('nonsense')).toBe(null)
  })
  it('have a word for everything a form can say', () => {
    const words = en as Record<string, string>
    const named = (path: string) => path.startsWith('channel.capabilities') || `rules.fact.${path}` in words
    // Ids and moments of single events are for code.
    const rare =
      /^(event|message|conversation|contact|channel|group|previous)\.(id|at|message|ends_at|closes_at|closed_at|language|status|channel_kind|timer|rule|agent|until|group|state|attachment|task|took_ms|input_tokens|output_tokens)$/
    expect(FACTS.map((fact) => fact.path).filter((path) => !named(path) && !rare.test(path))).toEqual([])
    expect(ASKINGS.map((it) => it.name).filter((name) => !(`rules.do.${name}` in words))).toEqual([])
    expect(EVENTS.filter((name) => !(`event.${name}` in words))).toEqual([])
  })
  it('are moved one place or many, and stay where they cannot go', () => {
    const list = ['a', 'b', 'c', 'd'].map((id) => ({ id }))
    const ids = (items: { id: string }[]) => items.map((it) => it.id).join('')
    expect(ids(moved(list, 'a', 2))).toBe('bcad')
    expect(ids(moved(list, 'd', 0))).toBe('dabc')
    expect(moved(list, 'a', -1)).toBe(list)
    expect(moved(list, 'x', 1)).toBe(list)
  })
})

describe('long lists', () => {
  it('only rows in sight and a few beyond are drawn', () => {
    expect(visible(10_000, 90, 0, 900)).toEqual({ from: 0, to: 18 })
    expect(visible(10_000, 90, 450_000, 900)).toEqual({ from: 4_992, to: 5_018 })
    expect(visible(10_000, 90, 10_000 * 90, 900)).toEqual({ from: 9_992, to: 10_000 })
    expect(visible(3, 90, 5_000, 900)).toEqual({ from: 3, to: 3 })
    expect(visible(0, 90, 0, 0)).toEqual({ from: 0, to: 0 })
  })

  it('a chosen row is scrolled into sight and no further', () => {
    expect(into(5, 90, 0, 900)).toBeNull()
    expect(into(10, 90, 0, 900)).toBe(90)
    expect(into(2, 90, 400, 900)).toBe(180)
  })
})

describe('answers that overtake each other', () => {
  it('leave what the latest question found', async () => {
    const answers: ((found: string) => void)[] = []
    const taken: string[] = []
    const ask = inOrder(
      () => new Promise<string>((done) => answers.push(done)),
      (found) => taken.push(found)
    )
    const asked = [ask(), ask(), ask()]
    answers[1]?.('second')
    answers[0]?.('first')
    await Promise.all(asked.slice(0, 2))
    expect(taken).toEqual(['second'])
    answers[2]?.('third')
    await asked[2]
    expect(taken).toEqual(['second', 'third'])
  })

  it('count for nothing once they are forgotten', async () => {
    const answers: ((found: string) => void)[] = []
    const taken: string[] = []
    const ask = inOrder(
      () => new Promise<string>((done) => answers.push(done)),
      (found) => taken.push(found)
    )
    const before = ask()
    ask.forget()
    const after = ask()
    answers[0]?.('of the person before')
    answers[1]?.('of the next')
    await Promise.all([before, after])
    expect(taken).toEqual(['of the next'])
  })

  it('are not held up by one that fails or never comes', async () => {
    let asked = 0
    const taken: number[] = []
    const ask = inOrder(
      () => {
        asked += 1
        if (asked === 1) return new Promise<number>(() => {})
        return asked === 2 ? Promise.reject(new Error('no network')) : Promise.resolve(asked)
      },
      (found) => taken.push(found)
    )
    void ask()
    await expect(ask()).rejects.toThrow('no network')
    await ask()
    expect(taken).toEqual([3])
  })
})
