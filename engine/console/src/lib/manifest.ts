// A provider's own description: the form of a channel and what it can do.
import type { Schemas } from './api'
import type { Capabilities } from './capabilities'
import { differences } from './differences'

export type Setting = {
  name: string
  label: string
  help: string
  kind: {
    type:
      'text' | 'multiline' | 'integer' | 'toggle' | 'choice' | 'phone' | 'secret' | 'generated_secret' | 'egress_url'
    options?: string[]
  }
  required: boolean
  default: unknown
  example: string | null
}

export type Manifest = {
  id: string
  name: string
  version: string
  publisher: string
  docs_url: string | null
  license: string | null
  settings: Setting[]
  kinds: Kind[]
  origins: string[]
  /** What it can do as an assistant; absent of a provider. */
  assistant?: { tasks: string[]; languages: string[]; offline: boolean }
}

export type Kind = { kind: string; label: string; capabilities: Capabilities; standing?: 'recommended' | 'legacy' }

/** What the engine makes up by itself is not asked for. */
export function manifest(plugin: Pick<Schemas['PluginView'], 'manifest'>): Manifest {
  const it = plugin.manifest as unknown as Manifest
  return { ...it, settings: it.settings.filter((setting) => setting.kind.type !== 'generated_secret') }
}

export type Values = Record<string, string | boolean>

/** What a form starts with: what is set, else the default. */
export function start(settings: Setting[], known: Record<string, unknown> = {}): Values {
  return Object.fromEntries(
    settings.map((setting) => {
      const value = known[setting.name] ?? setting.default
      return [setting.name, setting.kind.type === 'toggle' ? value === true : value == null ? '' : String(value)]
    })
  )
}

/** As the API wants it: settings and secrets apart, what was left empty left out. */
export function given(
  settings: Setting[],
  values: Values
): { settings: Record<string, unknown>; secrets: Record<string, string> } {
  const out = { settings: {} as Record<string, unknown>, secrets: {} as Record<string, string> }
  for (const { name, kind } of settings) {
    const value = values[name]
    if (value === undefined || value === '') continue
    if (kind.type === 'secret') out.secrets[name] = String(value)
    else if (kind.type === 'integer') out.settings[name] = /^-?\d+$/.test(String(value)) ? Number(value) : value
    else out.settings[name] = value
  }
  return out
}

/** As a change wants it: what was emptied goes back to its default. */
export function changed(settings: Setting[], values: Values): ReturnType<typeof given> {
  const out = given(settings, values)
  for (const { name, kind } of settings) if (kind.type !== 'secret' && values[name] === '') out.settings[name] = null
  return out
}

/** Fields that nobody needs on the first day: optional ones. */
export function isMore(setting: Setting): boolean {
  return !setting.required
}

/** Is the vendor's address one of our own choice? Then an admin may have to allow a private one. */
export function wantsAddress(settings: Setting[], values: Values): boolean {
  const addresses = settings.filter((it) => it.kind.type === 'egress_url')
  return addresses.some((it) => it.required || (values[it.name] ?? '') !== String(it.default ?? ''))
}

/** Settings that hold the channel's own address where none is a phone number; the server has the same list. */
const ADDRESS_NAMES = ['address', 'number', 'from', 'sender', 'phone_number_id']

/** The name of the setting that holds the channel's own number or account. */
export function addressSetting(settings: Setting[]): string | undefined {
  const names = [...settings.filter((it) => it.kind.type === 'phone').map((it) => it.name), ...ADDRESS_NAMES]
  return names.find((name) => settings.some((it) => it.name === name))
}

/** What one plugin may or can do and another may not or cannot. `can`: a capability of a kind, before and after. */
export type Change =
  | { sign: '+' | '-'; what: 'origin' | 'address' | 'setting' | 'kind'; name: string }
  | { sign: '~'; what: 'can'; name: string; kind: string; was: string; is: string }

/** What an upgrade changes: what may be called first. */
export function changes(before: Manifest, after: Manifest): Change[] {
  const isAddress = (setting: Setting) => setting.kind.type === 'egress_url'
  const names = {
    origin: (it: Manifest) => it.origins,
    address: (it: Manifest) => it.settings.filter(isAddress).map((setting) => setting.label),
    setting: (it: Manifest) => it.settings.filter((setting) => !isAddress(setting)).map((setting) => setting.label),
    kind: (it: Manifest) => it.kinds.map((kind) => kind.label)
  }
  const found: Change[] = (Object.keys(names) as (keyof typeof names)[]).flatMap((what) => {
    const [was, is] = [names[what](before), names[what](after)]
    const only = (these: string[], those: string[]) => these.filter((name) => !those.includes(name))
    return [
      ...only(is, was).map((name) => ({ sign: '+' as const, what, name })),
      ...only(was, is).map((name) => ({ sign: '-' as const, what, name }))
    ]
  })
  for (const { kind, label, capabilities } of after.kinds) {
    const old = before.kinds.find((it) => it.kind === kind)
    if (!old) continue
    for (const [name, was, is] of differences(old.capabilities, capabilities))
      found.push({ sign: '~', what: 'can', name, kind: label, was, is })
  }
  return found
}
