// What a channel can take, checked before anything is sent. The figures are the provider's, never ours. Pure.

export type MediaRule = {
  family: string
  content_types: string[]
  send_bytes_max: number
  caption_max: number | null
}

export type Capabilities = {
  text_max: number
  text_unit: 'characters' | 'utf16_units' | 'bytes' | 'sms_segments'
  attachments_max: number
  media: MediaRule[]
  window: { kind: 'none' | 'since_last_inbound' | 'after_first_inbound'; seconds?: number }
  templates: boolean
  first_message_needs_template: boolean
  /** May an answer quote a message? */
  replies: boolean
  beta: boolean
}

/** GSM 03.38: what fits into seven bits; the second row takes two places. */
const GSM =
  '@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&\'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà'
const GSM_DOUBLE = '^{}\\[~]|€\f'

/** How long a text is in the unit that the vendor counts in. */
export function length(text: string, unit: Capabilities['text_unit']): number {
  switch (unit) {
    case 'characters':
      return Array.from(text).length
    case 'utf16_units':
      return text.length
    case 'bytes':
      return new TextEncoder().encode(text).length
    case 'sms_segments':
      return segments(text)
  }
}

function segments(text: string): number {
  const letters = Array.from(text)
  const isGsm = letters.every((letter) => GSM.includes(letter) || GSM_DOUBLE.includes(letter))
  const places = isGsm ? letters.reduce((sum, letter) => sum + (GSM_DOUBLE.includes(letter) ? 2 : 1), 0) : text.length
  const [alone, each] = isGsm ? [160, 153] : [70, 67]
  return places <= alone ? Math.min(places, 1) : Math.ceil(places / each)
}

export type FileProblem =
  | { kind: 'none'; family: string }
  | { kind: 'type'; type: string }
  | { kind: 'size'; max: number }
  | { kind: 'count'; max: number }

export function family(type: string): string {
  const first = type.split('/')[0] ?? ''
  if (['image', 'audio', 'video'].includes(first)) return first
  return /zip|rar|7z|gzip|x-tar/.test(type) ? 'archive' : 'document'
}

/** Why the channel cannot take this file; null when it can. */
export function fileProblem(
  capabilities: Capabilities,
  file: { type: string; size: number },
  alreadyThere: number
): FileProblem | null {
  const rules = capabilities.media
  if (rules.length === 0 || capabilities.attachments_max === 0) return { kind: 'none', family: family(file.type) }
  if (alreadyThere >= capabilities.attachments_max) return { kind: 'count', max: capabilities.attachments_max }
  const fitting = rules.filter((rule) =>
    rule.content_types.length > 0 ? rule.content_types.includes(file.type) : rule.family === family(file.type)
  )
  if (fitting.length === 0) return { kind: 'type', type: file.type || '?' }
  const max = Math.max(...fitting.map((rule) => rule.send_bytes_max))
  return file.size > max ? { kind: 'size', max } : null
}

/** `1.5 MB`, as people and vendors write sizes. */
export function bytes(size: number): string {
  if (size < 1024) return `${size} B`
  if (size < 1 << 20) return `${Math.round(size / 1024)} kB`
  const megabytes = size / (1 << 20)
  return `${megabytes < 10 ? megabytes.toFixed(1).replace(/\.0$/, '') : Math.round(megabytes)} MB`
}
