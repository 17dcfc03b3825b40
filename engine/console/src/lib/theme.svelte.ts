// Light, dark, or as the system has it.
export type Theme = 'system' | 'light' | 'dark'
const KEPT = 'pointsman.theme'

class Look {
  theme = $state<Theme>('system')
}

export const look = new Look()

export function applyTheme(theme?: Theme): void {
  try {
    if (theme) localStorage.setItem(KEPT, theme)
    const kept = localStorage.getItem(KEPT)
    look.theme = kept === 'light' || kept === 'dark' ? kept : 'system'
  } catch {
    look.theme = theme ?? 'system'
  }
  if (look.theme === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = look.theme
}
