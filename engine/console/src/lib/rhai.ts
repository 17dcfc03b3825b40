// How a rule is coloured. A rule is short, so one look per line is enough.
import { LanguageSupport, StreamLanguage, type StreamParser } from '@codemirror/language'

const WORDS =
  /^(?:if|else|let|const|for|in|while|loop|do|until|break|continue|return|throw|try|catch|switch|fn|private|this|is_def_var|true|false|off|on)\b/

export const parser: StreamParser<{ isComment: boolean }> = {
  name: 'rhai',
  startState: () => ({ isComment: false }),
  languageData: { commentTokens: { line: '//' }, closeBrackets: { brackets: ['(', '[', '{', '"', '`'] } },
  token(stream, state) {
    if (state.isComment) {
      state.isComment = !stream.match(/^.*?\*\//)
      if (state.isComment) stream.skipToEnd()
      return 'comment'
    }
    if (stream.eatSpace()) return null
    if (stream.match('//!')) {
      stream.skipToEnd()
      return 'docComment'
    }
    if (stream.match('//')) {
      stream.skipToEnd()
      return 'comment'
    }
    if (stream.match('/*')) {
      state.isComment = !stream.match(/^.*?\*\//)
      if (state.isComment) stream.skipToEnd()
      return 'comment'
    }
    if (stream.match(/^"(?:[^"\\]|\\.)*"?/) || stream.match(/^`[^`]*`?/)) return 'string'
    if (stream.match(/^\d[\d_]*(?:\.\d+)?/)) return 'number'
    const word = stream.match(WORDS) as RegExpMatchArray | null
    if (word) return word[0] === 'true' || word[0] === 'false' ? 'bool' : 'keyword'
    if (stream.match(/^[A-Za-z_]\w*(?=\s*\()/)) return 'function'
    if (stream.match(/^[A-Za-z_]\w*/)) return 'variableName'
    stream.next()
    return 'operator'
  }
}

export const rhai = () => new LanguageSupport(StreamLanguage.define(parser))
