// Messages as a thread shows them. Pure.
import type { Message } from './api'

export type Content = {
  kind: string
  text?: string
  title?: string
  name?: string
  language?: string
  slots?: Record<string, string>
  items?: MediaItem[] | { id: string; title: string }[]
  location?: { latitude: number; longitude: number; name?: string | null; address?: string | null }
  cards?: { name?: string; display_name?: string }[]
  emoji?: string | null
  what?: string
}

export type MediaItem = {
  id?: string
  family?: string
  file_name?: string | null
  size?: number | null
  caption?: string | null
  state?: 'pending' | 'stored' | 'failed'
  reason?: string | null
  url?: string | null
  thumbnail_url?: string | null
}

export function content(message: Message): Content {
  return message.content as Content
}

/** Both lists as one, oldest first; the newer word about a message counts. */
export function merged(known: Message[], fresh: Message[]): Message[] {
  const by = new Map(known.map((message) => [message.id, message]))
  fresh.forEach((message) => by.set(message.id, message))
  return [...by.values()].sort((a, b) => a.seq - b.seq)
}

/** Is this the first message of its day? */
export function beginsDay(messages: Message[], index: number): boolean {
  const [before, it] = [messages[index - 1], messages[index]]
  if (!it) return false
  return !before || new Date(before.at).toDateString() !== new Date(it.at).toDateString()
}

/** Same sender within five minutes: the name is not said again. */
export function continues(messages: Message[], index: number): boolean {
  const [before, it] = [messages[index - 1], messages[index]]
  if (!before || !it || beginsDay(messages, index)) return false
  const isNear = Date.parse(it.at) - Date.parse(before.at) < 5 * 60_000
  return (
    isNear &&
    before.direction === it.direction &&
    before.sender.kind === it.sender.kind &&
    before.sender.id === it.sender.id
  )
}

/** A message in one line, for where it is quoted; empty when it has no words. */
export function gist(message: Message): string {
  const it = content(message)
  const [first] = it.kind === 'media' || it.kind === 'linked' ? (it.items as MediaItem[]) : []
  const text = it.text ?? it.title ?? first?.caption ?? first?.file_name ?? it.name ?? it.emoji ?? ''
  return text.replace(/\s+/g, ' ').trim()
}
