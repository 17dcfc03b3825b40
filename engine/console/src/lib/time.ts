// Times as people read them, in their own zone. The present comes in as an argument.
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** `14:05` today, `Tue` this week, `3 May` this year, else with the year. */
export function brief(at: string, now: number, language: string): string {
  const date = new Date(at)
  const today = new Date(now)
  const format = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat(language, options).format(date)
  if (date.toDateString() === today.toDateString()) return format({ hour: '2-digit', minute: '2-digit' })
  if (now - date.getTime() < 6 * DAY && now >= date.getTime()) return format({ weekday: 'short' })
  if (date.getFullYear() === today.getFullYear()) return format({ day: 'numeric', month: 'short' })
  return format({ day: 'numeric', month: 'short', year: 'numeric' })
}

/** Date and time in full. */
export function full(at: string, language: string): string {
  return new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(at))
}

export function clock(at: string, language: string): string {
  return new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit' }).format(new Date(at))
}

/** The day of a message, as the line between two days says it. */
export function day(at: string, now: number, language: string): string {
  const date = new Date(at)
  const days = Math.round((midnight(now) - midnight(date.getTime())) / DAY)
  if (days === 0 || days === 1) {
    const text = new Intl.RelativeTimeFormat(language, { numeric: 'auto' }).format(-days, 'day')
    return text.charAt(0).toLocaleUpperCase(language) + text.slice(1)
  }
  return new Intl.DateTimeFormat(language, { weekday: 'long', day: 'numeric', month: 'long' }).format(date)
}

function midnight(at: number): number {
  return new Date(at).setHours(0, 0, 0, 0)
}

/** How long is left, in its two largest units: `23 h 5 min`, `4 min`, `30 s`. Null: it is over. */
export function left(until: string, now: number): string | null {
  const ms = Date.parse(until) - now
  if (ms <= 0) return null
  if (ms < MINUTE) return `${Math.ceil(ms / 1000)} s`
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`
  if (ms < 2 * DAY) return `${Math.floor(ms / HOUR)} h ${Math.floor((ms % HOUR) / MINUTE)} min`
  return `${Math.floor(ms / DAY)} d`
}

/** A length of time in words a table has room for. */
export function span(ms: number): string {
  if (ms < 1000) return `${ms} ms`
  if (ms < MINUTE) return `${(ms / 1000).toFixed(1)} s`
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`
  return `${Math.floor(ms / HOUR)} h`
}
