// Words of the console, from the message files. English is part of the first load; others come when they are wanted.
import en from '../../messages/en.json'

export type Key = keyof typeof en
type Words = Record<string, string>

export const LANGUAGES = { en: 'English', es: 'Español' } as const
export type Language = keyof typeof LANGUAGES
const KEPT = 'pointsman.language'

class Speech {
  language = $state<Language>('en')
  words = $state.raw<Words>(en)

  async speak(language: Language): Promise<void> {
    this.words = language === 'en' ? en : (await import('../../messages/es.json')).default
    this.language = language
    document.documentElement.lang = language
    try {
      localStorage.setItem(KEPT, language)
    } catch {
      // A browser that keeps nothing asks again next time.
    }
  }
}

export const speech = new Speech()

/** The language the person chose, or their browser's. */
export function wantedLanguage(): Language {
  let kept: string | null = null
  try {
    kept = localStorage.getItem(KEPT)
  } catch {
    kept = null
  }
  const wanted = [kept, ...navigator.languages].map((tag) => tag?.slice(0, 2))
  return (wanted.find((tag) => tag && tag in LANGUAGES) ?? 'en') as Language
}

/** A message with its holes filled: `{name}`. */
export function fill(text: string, values: Record<string, string | number> = {}): string {
  return text.replace(/\{(\w+)\}/g, (hole, name: string) => String(values[name] ?? hole))
}

export function t(key: Key, values?: Record<string, string | number>): string {
  return fill(speech.words[key] ?? en[key] ?? key, values)
}

/** The message for so many things: `key.one` or `key.other`. */
export function count(key: string, number: number): string {
  const form = new Intl.PluralRules(speech.language).select(number) === 'one' ? 'one' : 'other'
  return t(`${key}.${form}` as Key, { n: number.toLocaleString(speech.language) })
}

/** A word of the API in the person's language; the word itself when it is not known yet. */
export function word(family: string, value: string): string {
  return speech.words[`${family}.${value}`] ?? value.replaceAll('_', ' ')
}
