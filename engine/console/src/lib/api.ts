// The one way to the server: the public API, with the session's proof on every write. Knows no screen.
import createClient from 'openapi-fetch'
import type { components, paths } from './schema'

export type Schemas = components['schemas']
export type Conversation = Schemas['Conversation']
export type Message = Schemas['Message']
export type Channel = Schemas['ChannelView']
export type User = Schemas['UserView']
export type Group = Schemas['GroupView']
export type Rule = Schemas['RuleView']
export type Template = Schemas['TemplateView']
export type Assistant = Schemas['AssistantView']
export type FieldProblem = Schemas['FieldProblem']

/** A refusal: what happened and what to do, as the server says it. */
export class Refusal extends Error {
  constructor(
    readonly code: string,
    detail: string,
    readonly status = 0,
    readonly errors: FieldProblem[] = [],
    readonly request: string | null = null,
    readonly body: Record<string, unknown> = {}
  ) {
    super(detail)
  }

  /** What is wrong with one field of a form. */
  of(pointer: string): string | undefined {
    return this.errors.find((error) => error.pointer === pointer)?.message
  }
}

let csrf: string | null = null
let onSignedOut: () => void = () => {}

export function useProof(token: string | null | undefined): void {
  csrf = token ?? null
}

/** What to do when the server no longer knows the session. */
export function whenSignedOut(then: () => void): void {
  onSignedOut = then
}

export const api = createClient<paths>({ baseUrl: globalThis.location?.origin ?? '' })
api.use({
  onRequest({ request }) {
    if (csrf && request.method !== 'GET') request.headers.set('x-csrf-token', csrf)
    return request
  }
})

type Answer<T> = { data?: T; error?: unknown; response: Response }

/** The answer's body, or a [`Refusal`]. */
export async function ok<T>(asked: Promise<Answer<T>>): Promise<T> {
  let answer: Answer<T>
  try {
    answer = await asked
  } catch {
    throw new Refusal('offline', 'offline')
  }
  if (answer.response.ok) return answer.data as T
  if (answer.response.status === 401) onSignedOut()
  throw refusal(answer.response.status, answer.error)
}

/** The answer's body with the version that a change of it names in `if-match`. */
export async function tagged<T>(asked: Promise<Answer<T>>): Promise<{ it: T; tag: string }> {
  let tag = ''
  const it = await ok(
    asked.then((answer) => {
      tag = answer.response.headers.get('etag') ?? ''
      return answer
    })
  )
  return { it, tag }
}

/** Reads a problem document; what is none (a proxy's page, say) becomes one. */
export function refusal(status: number, body: unknown): Refusal {
  const it = (typeof body === 'object' && body !== null ? body : {}) as Partial<Schemas['Problem']>
  const detail = it.detail ?? it.title ?? `HTTP ${status}`
  return new Refusal(
    it.code ?? 'unexpected',
    detail,
    status,
    it.errors ?? [],
    it.request_id ?? null,
    it as Record<string, unknown>
  )
}

export function asRefusal(error: unknown): Refusal {
  return error instanceof Refusal
    ? error
    : new Refusal('unexpected', error instanceof Error ? error.message : String(error))
}

/** All items of a list, page by page. */
export async function all<T>(page: (cursor?: string) => Promise<{ items: T[]; next?: string | null }>): Promise<T[]> {
  const found: T[] = []
  let cursor: string | undefined
  do {
    const { items, next } = await page(cursor)
    found.push(...items)
    cursor = next ?? undefined
  } while (cursor)
  return found
}

/** Uploads a file and answers its id. */
export async function upload(file: File): Promise<string> {
  const path = `/api/v1/attachments?file_name=${encodeURIComponent(file.name)}`
  return (await postFile<{ id: string }>(path, file, file.type || 'application/octet-stream')).id
}

/** Posts a file as it is. */
export async function postFile<T>(path: string, file: File, type: string): Promise<T> {
  const headers: Record<string, string> = { 'content-type': type }
  if (csrf) headers['x-csrf-token'] = csrf
  const asked = fetch(path, { method: 'POST', headers, body: file }).then(async (response) => {
    const body = await response.json().catch(() => null)
    return { data: body as T, error: body, response }
  })
  return ok(asked)
}

/** A key under which a repeated write is carried out once. */
export function onceKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
