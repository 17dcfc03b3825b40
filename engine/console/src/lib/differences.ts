// What is different between two states of one thing: name, before, after. Pure.
type Thing = Record<string, unknown> | null | undefined

export function differences(before: Thing, after: Thing): [string, string, string][] {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])]
  const text = (value: unknown) => (value == null ? '' : typeof value === 'string' ? value : JSON.stringify(value))
  return names
    .map((name): [string, string, string] => [name, text(before?.[name]), text(after?.[name])])
    .filter(([, was, is]) => was !== is)
}
