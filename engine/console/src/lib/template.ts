// Templates: which may be chosen, what is still to be filled in, and the text exactly as it will be sent. Pure.
import type { Template } from './api'

/** Approved templates by name, then language. */
export function choices(templates: Template[], language: string): Template[] {
  return templates
    .filter((template) => template.status === 'approved')
    .sort((a, b) => a.name.localeCompare(b.name, language) || a.language.localeCompare(b.language))
}

/** Headers that are a file, as the API names them, and what may be put there. */
const FILES: Record<string, string> = {
  'header.image': 'image/*',
  'header.video': 'video/*',
  'header.document': ''
}

/** What kind of file a slot wants, as a file picker says it; null: it wants text. */
export function accepts(slot: string): string | null {
  return FILES[slot] ?? null
}

/** Slots that nothing was put into yet. */
export function missing(template: Template, slots: Record<string, string>, files: Record<string, unknown>): string[] {
  return template.slots.filter((slot) => (accepts(slot) === null ? !slots[slot]?.trim() : !files[slot]))
}

export type Piece = { text: string; slot: string | null }

/** The body in pieces: its own text, and what was filled in (or the hole). */
export function preview(template: Template, slots: Record<string, string>): Piece[] {
  const pieces: Piece[] = []
  let rest = 0
  for (const hole of template.body.matchAll(/\{\{\s*([\w.]+)\s*\}\}/g)) {
    if (hole.index > rest) pieces.push({ text: template.body.slice(rest, hole.index), slot: null })
    const slot = hole[1] ?? ''
    pieces.push({ text: slots[slot] || hole[0], slot })
    rest = hole.index + hole[0].length
  }
  if (rest < template.body.length) pieces.push({ text: template.body.slice(rest), slot: null })
  return pieces
}
