// What the person is told: the unread count, and new chats that announce themselves.
import { api } from './api'
import { t } from './i18n.svelte'
import { inOrder } from './overtaken'
import { place, to } from './router.svelte'
import { stream, type Happened } from './stream.svelte'

const TOLD_AFTER_MS = 300
const SOUND = 'pointsman.sound'
const NOTIFY = 'pointsman.notify'

function kept(key: string): boolean {
  try {
    return localStorage.getItem(key) === 'on'
  } catch {
    return false
  }
}

function keep(key: string, on: boolean): void {
  try {
    localStorage.setItem(key, on ? 'on' : 'off')
  } catch {
    // Kept for this page only.
  }
}

class Notices {
  unread = $state(0)
  sound = $state(kept(SOUND))
  /** Does the person want the browser's own notices, and does the browser let us? */
  notify = $state(kept(NOTIFY) && permission() === 'granted')
  isForbidden = $state(permission() === 'denied')
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor() {
    stream.on((event) => {
      clearTimeout(this.#timer)
      this.#timer = setTimeout(() => void this.refresh(), TOLD_AFTER_MS)
      this.#announce(event)
    })
    stream.onLive(() => void this.refresh())
  }

  refresh = inOrder(
    () => api.GET('/api/v1/notifications', { params: { query: { unread: true, limit: 1 } } }).catch(() => null),
    (found) => {
      if (found?.data) this.unread = found.data.unread
    }
  )

  /** What one person was told is not for the next. */
  forget(): void {
    clearTimeout(this.#timer)
    this.refresh.forget()
    this.unread = 0
  }

  setSound(on: boolean): void {
    this.sound = on
    keep(SOUND, on)
    if (on) chime()
  }

  /** Switches the browser's own notices; the first time the browser asks the person. */
  async setNotify(on: boolean): Promise<void> {
    if (on && permission() === 'default') await Notification.requestPermission()
    this.isForbidden = permission() === 'denied'
    this.notify = on && permission() === 'granted'
    keep(NOTIFY, this.notify)
  }

  #announce(event: Happened): void {
    if (event.type !== 'message.received' || !document.hidden) return
    if (this.sound) chime()
    if (!this.notify || permission() !== 'granted') return
    const { conversation } = event
    // Without the text: a screen may be shared.
    const notice = new Notification(t('notices.new'), { tag: conversation ?? undefined })
    notice.onclick = () => {
      window.focus()
      if (conversation) place.go(to(`chats/${conversation}`))
      notice.close()
    }
  }
}

function permission(): NotificationPermission | 'none' {
  return 'Notification' in globalThis ? Notification.permission : 'none'
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
