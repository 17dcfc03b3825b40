// In the editor: the lines that ran, and beside each condition whether it held and what it read. A change of the text
// takes them away, since they spoke of another one.
import { StateEffect, StateField, type Extension, type Range } from '@codemirror/state'
import { Decoration, EditorView, WidgetType, type DecorationSet } from '@codemirror/view'
import type { Note } from './trace'

export type Marks = { ran: number[]; notes: Note[]; words: { yes: string; no: string } }

const put = StateEffect.define<Marks | null>()

class Beside extends WidgetType {
  constructor(
    readonly note: Note,
    readonly words: Marks['words']
  ) {
    super()
  }

  override eq(other: Beside): boolean {
    return JSON.stringify(this.note) === JSON.stringify(other.note)
  }

  override toDOM(): HTMLElement {
    const box = document.createElement('span')
    box.className = 'cm-beside'
    if (this.note.holds !== null) {
      const verdict = box.appendChild(document.createElement('strong'))
      verdict.className = this.note.holds ? 'cm-yes' : 'cm-no'
      verdict.textContent = this.note.holds ? this.words.yes : this.words.no
    }
    box.append(` ${this.note.reads.map(([text, value]) => `${text} = ${value}`).join(', ')}`)
    return box
  }
}

const field = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(now, transaction) {
    let next = transaction.docChanged ? Decoration.none : now
    for (const effect of transaction.effects) {
      if (!effect.is(put)) continue
      const doc = transaction.state.doc
      const found: Range<Decoration>[] = []
      for (const number of effect.value?.ran ?? []) {
        if (number <= doc.lines) found.push(Decoration.line({ class: 'cm-ran' }).range(doc.line(number).from))
      }
      for (const note of effect.value?.notes ?? []) {
        if (note.line > doc.lines || !effect.value) continue
        const widget = new Beside(note, effect.value.words)
        found.push(Decoration.widget({ widget, side: 1 }).range(doc.line(note.line).to))
      }
      next = Decoration.set(found, true)
    }
    return next
  },
  provide: (it) => EditorView.decorations.from(it)
})

export const marking: Extension = [
  field,
  EditorView.theme({
    '.cm-ran': {
      boxShadow: 'inset 3px 0 0 var(--good)',
      backgroundColor: 'color-mix(in srgb, var(--accent-soft) 55%, transparent)'
    },
    '.cm-beside': {
      marginLeft: '24px',
      padding: '0 8px',
      borderRadius: '8px',
      color: 'var(--ink-soft)',
      backgroundColor: 'var(--sunken)'
    },
    '.cm-yes': { color: 'var(--good)' },
    '.cm-no': { color: 'var(--bad)' }
  })
]

export function mark(view: EditorView, marks: Marks | null): void {
  view.dispatch({ effects: put.of(marks) })
}
