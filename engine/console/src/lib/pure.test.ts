// The console's pure parts: what is shown and checked without a browser or a server.
import { describe, expect, it } from 'vitest'
import en from '../../messages/en.json'
import es from '../../messages/es.json'
import { refusal, type Conversation, type Message, type Template } from './api'
import { bytes, fileProblem, length, type Capabilities } from './capabilities'
import { differences } from './differences'
import { emptyFilter, matches, placed } from './filter'
import { gathered, intentText } from './history'
import { fill } from './i18n.svelte'
import { given, start, type Setting } from './manifest'
import { beginsDay, continues, merged } from './messages'
import { called, hue, initials } from './person'
import { SseParser } from './sse'
import { choices, missing, preview } from './template'
import { brief, day, left, span } from './time'

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
    expect(missing(of('a', 'en'), { '1': 'Ana', order: '  ' })).toEqual(['order'])
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
