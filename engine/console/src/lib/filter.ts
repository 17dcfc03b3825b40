// Which conversations a list shows. The server decides when it is asked; this decides for what changes meanwhile. Pure.
import type { Conversation } from './api'

export type View = 'chats' | 'cases'
export type Filter = {
  view: View
  status: string
  /** A user's id, `none`, or empty for anybody. */
  assignee: string
  group: string
  channel: string
  label: string
  /** `negative`, `neutral`, `positive`, or empty for any. */
  sentiment: string
  archived: boolean
}

export function emptyFilter(view: View): Filter {
  return { view, status: '', assignee: '', group: '', channel: '', label: '', sentiment: '', archived: false }
}

/** As the server is asked. */
export function query(filter: Filter) {
  return {
    live: filter.view === 'chats',
    archived: filter.archived,
    status: filter.status || undefined,
    assignee: filter.assignee || undefined,
    group: filter.group || undefined,
    channel: filter.channel || undefined,
    label: filter.label || undefined,
    sentiment: filter.sentiment || undefined
  }
}

export function matches(it: Conversation, filter: Filter): boolean {
  const assignee = filter.assignee === 'none' ? null : filter.assignee
  return (
    it.live === (filter.view === 'chats') &&
    (it.archived_at != null) === filter.archived &&
    (!filter.status || it.status === filter.status) &&
    (filter.assignee === '' || (it.assignee ?? null) === assignee) &&
    (!filter.group || it.group === filter.group) &&
    (!filter.channel || it.channel === filter.channel) &&
    (!filter.label || it.labels.includes(filter.label)) &&
    (!filter.sentiment || it.sentiment === filter.sentiment)
  )
}

/** The list with this conversation in its place: newest activity first. */
export function placed(list: Conversation[], it: Conversation, filter: Filter): Conversation[] {
  const others = list.filter((other) => other.id !== it.id)
  if (!matches(it, filter)) return others
  const at = others.findIndex((other) => other.last_activity_at <= it.last_activity_at)
  return at < 0 ? [...others, it] : [...others.slice(0, at), it, ...others.slice(at)]
}
