// How people are shown: a name, initials, a colour. Pure.
import type { Conversation } from './api'

export function initials(name: string): string {
  const words = name
    .replace(/[^\p{L}\p{N}\s]/gu, ' ')
    .trim()
    .split(/\s+/)
    .filter(Boolean)
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0]]
  return (
    letters
      .map((word) => Array.from(word ?? '')[0] ?? '')
      .join('')
      .toLocaleUpperCase() || '?'
  )
}

/** 0 to 359, the same for the same text. */
export function hue(seed: string): number {
  let hash = 7
  for (const letter of seed) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) >>> 0
  return hash % 360
}

type Outsider = { id: string; name?: string | null; phone?: string | null; address?: string }

/** What a contact is called: their name, number, or the end of an id that says nothing. */
export function called(contact: Outsider, visitor: (end: string) => string): string {
  if (contact.name) return contact.name
  if (contact.phone) return contact.phone
  const address = contact.address ?? ''
  return /^[+\d*•][\d\s*•-]*$|:/.test(address)
    ? address.replace(/^\w+:/, '')
    : visitor((address || contact.id).slice(-4))
}

export function calledIn(conversation: Conversation, visitor: (end: string) => string): string {
  return called(conversation.contact, visitor)
}
