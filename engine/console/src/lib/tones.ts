// Which colour repeats what a state says. Pure.
export type Tone = 'plain' | 'good' | 'warn' | 'bad' | 'accent'

export function channelTone(state: string): Tone {
  if (state === 'connected') return 'good'
  if (state === 'failed') return 'bad'
  return state === 'degraded' || state === 'qr_required' ? 'warn' : 'plain'
}
