// Starts the console: the person's language first, then who they are.
import { mount } from 'svelte'
import './app.css'
import App from './App.svelte'
import { speech, wantedLanguage } from './lib/i18n.svelte'
import { applyTheme } from './lib/theme.svelte'

applyTheme()
await speech.speak(wantedLanguage()).catch(() => speech.speak('en'))
mount(App, { target: document.getElementById('app') as HTMLElement })
