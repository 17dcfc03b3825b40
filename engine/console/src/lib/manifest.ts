// A provider's own description: the form of a channel and what it can do.
import type { Schemas } from './api'
import type { Capabilities } from './capabilities'

export type Setting = {
  name: string
  label: string
  help: string
  kind: {
    type: 'text' | 'multiline' | 'integer' | 'toggle' | 'choice' | 'phone' | 'secret' | 'egress_url'
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
  kinds: { kind: string; label: string; capabilities: Capabilities }[]
  origins: string[]
}

/** What the engine makes by itself when nobody gives it: the key of our own chat page. */
const MADE_FOR_US = 'visitor_key'

export function manifest(plugin: Schemas['PluginView']): Manifest {
  const it = plugin.manifest as unknown as Manifest
  return it.id === 'webchat' ? { ...it, settings: it.settings.filter((setting) => setting.name !== MADE_FOR_US) } : it
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

/** Fields that nobody needs on the first day: optional ones. */
export function isMore(setting: Setting): boolean {
  return !setting.required
}
