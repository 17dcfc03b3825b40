// The console's screens: their path, word and icon, and who may go there. Those that are not part of the first load are
// fetched when they are opened.
import type { Component } from 'svelte'
import type { Key } from './i18n.svelte'
import type { IconName } from '../ui/Icon.svelte'

export type Screen = {
  path: string
  label: Key
  icon: IconName
  isAdmin?: boolean
  load?: () => Promise<{ default: Component<{ rest: string[] }> }>
}

export const WORK: Screen[] = [
  { path: 'chats', label: 'nav.chats', icon: 'chats' },
  { path: 'cases', label: 'nav.cases', icon: 'cases' },
  {
    path: 'notifications',
    label: 'nav.notifications',
    icon: 'bell',
    load: () => import('../screens/Notifications.svelte')
  },
  { path: 'contacts', label: 'nav.contacts', icon: 'contacts', load: () => import('../screens/Contacts.svelte') }
]

export const CONFIGURE: Screen[] = [
  { path: 'channels', label: 'nav.channels', icon: 'channels', load: () => import('../screens/Channels.svelte') },
  { path: 'rules', label: 'nav.rules', icon: 'rules', load: () => import('../screens/Rules.svelte') },
  {
    path: 'assistants',
    label: 'nav.assistants',
    icon: 'spark',
    isAdmin: true,
    load: () => import('../screens/Assistants.svelte')
  },
  { path: 'people', label: 'nav.people', icon: 'people', load: () => import('../screens/People.svelte') },
  { path: 'calendars', label: 'nav.calendars', icon: 'calendars', load: () => import('../screens/Calendars.svelte') }
]

export const OPERATE: Screen[] = [
  {
    path: 'webhooks',
    label: 'nav.webhooks',
    icon: 'webhooks',
    isAdmin: true,
    load: () => import('../screens/Webhooks.svelte')
  },
  {
    path: 'operations',
    label: 'nav.operations',
    icon: 'operations',
    isAdmin: true,
    load: () => import('../screens/Operations.svelte')
  },
  { path: 'audit', label: 'nav.audit', icon: 'audit', isAdmin: true, load: () => import('../screens/Audit.svelte') },
  { path: 'api-keys', label: 'nav.keys', icon: 'keys', isAdmin: true, load: () => import('../screens/ApiKeys.svelte') },
  {
    path: 'plugins',
    label: 'nav.plugins',
    icon: 'plugins',
    isAdmin: true,
    load: () => import('../screens/Plugins.svelte')
  },
  {
    path: 'settings',
    label: 'nav.settings',
    icon: 'settings',
    isAdmin: true,
    load: () => import('../screens/Settings.svelte')
  }
]

export const SCREENS = [...WORK, ...CONFIGURE, ...OPERATE]
