// What the person is told: the unread count, and new chats that announce themselves.
import { api } from './api'
import { stream, type Happened } from './stream.svelte'
import { t } from './i18n.svelte'

const TOLD_AFTER_MS = 300
const SOUND = 'pointsman.sound'

class Notices {
  unread = $state(0)
  sound = $state(false)
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor() {
    try {
      this.sound = localStorage.getItem(SOUND) === 'on'
    } catch {
      this.sound = false
    }
    stream.on((event) => {
      clearTimeout(this.#timer)
      this.#timer = setTimeout(() => void this.refresh(), TOLD_AFTER_MS)
      this.#announce(event)
    })
    stream.onReturn(() => void this.refresh())
  }

  refresh = async (): Promise<void> => {
    const found = await api
      .GET('/api/v1/notifications', { params: { query: { unread: true, limit: 1 } } })
      .catch(() => null)
    if (found?.data) this.unread = found.data.unread
  }

  /** Switches sound and the browser's own notices, which the browser asks about. */
  async announce(on: boolean): Promise<void> {
    this.sound = on
    try {
      localStorage.setItem(SOUND, on ? 'on' : 'off')
    } catch {
      // Kept for this page only.
    }
    if (on && 'Notification' in globalThis && Notification.permission === 'default')
      await Notification.requestPermission()
  }

  #announce(event: Happened): void {
    if (!this.sound || event.type !== 'message.received' || !document.hidden) return
    chime()
    if ('Notification' in globalThis && Notification.permission === 'granted') {
      // Without the text: a screen may be shared.
      new Notification(t('notices.new'), { tag: event.conversation ?? undefined })
    }
  }
}

function chime(): void {
  const audio = new AudioContext()
  const [tone, volume] = [audio.createOscillator(), audio.createGain()]
  tone.frequency.value = 660
  volume.gain.setValueAtTime(0.08, audio.currentTime)
  volume.gain.exponentialRampToValueAtTime(0.0001, audio.currentTime + 0.4)
  tone.connect(volume).connect(audio.destination)
  tone.start()
  tone.stop(audio.currentTime + 0.4)
}

export const notices = new Notices()
