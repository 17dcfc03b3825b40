// Server-sent events out of a stream of text. Pure.
export type SseEvent = { id: string | null; event: string; data: string }

export class SseParser {
  #rest = ''

  /** The events that are complete with this piece. */
  push(piece: string): SseEvent[] {
    const blocks = (this.#rest + piece).replaceAll('\r\n', '\n').split('\n\n')
    this.#rest = blocks.pop() ?? ''
    return blocks.map(read).filter((event) => event !== null)
  }
}

function read(block: string): SseEvent | null {
  const event: SseEvent = { id: null, event: 'message', data: '' }
  const data: string[] = []
  for (const line of block.split('\n')) {
    const at = line.indexOf(':')
    if (at === 0) continue // a comment keeps the line open
    const [field, value] = at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1).replace(/^ /, '')]
    if (field === 'id') event.id = value
    else if (field === 'event') event.event = value
    else if (field === 'data') data.push(value)
  }
  event.data = data.join('\n')
  return data.length > 0 ? event : null
}
