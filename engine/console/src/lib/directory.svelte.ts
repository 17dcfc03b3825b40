// Names of what conversations point at: people, groups, channels. Asked for once, and again when they change.
import { all, api, ok, type Channel, type Group, type Schemas, type User } from './api'
import { inOrder } from './overtaken'

type Plugin = Schemas['PluginView']

class Directory {
  users = $state.raw<User[]>([])
  groups = $state.raw<Group[]>([])
  channels = $state.raw<Channel[]>([])
  plugins = $state.raw<Plugin[]>([])
  known = $state(false)

  refresh = inOrder(
    () => {
      const query = (cursor?: string) => ({ params: { query: { limit: 200, cursor } } })
      return Promise.all([
        all((cursor) => ok(api.GET('/api/v1/users', query(cursor)))).catch(() => this.users),
        all((cursor) => ok(api.GET('/api/v1/groups', query(cursor)))).catch(() => this.groups),
        all((cursor) => ok(api.GET('/api/v1/channels', query(cursor)))).catch(() => this.channels),
        ok(api.GET('/api/v1/plugins'))
          .then((list) => list.items)
          .catch(() => this.plugins)
      ])
    },
    (found) => {
      ;[this.users, this.groups, this.channels, this.plugins] = found
      this.known = true
    }
  )

  user(id: string | null | undefined): User | undefined {
    return this.users.find((user) => user.id === id)
  }

  group(id: string | null | undefined): Group | undefined {
    return this.groups.find((group) => group.id === id)
  }

  channel(id: string | null | undefined): Channel | undefined {
    return this.channels.find((channel) => channel.id === id)
  }

  forget(): void {
    this.refresh.forget()
    ;[this.users, this.groups, this.channels, this.plugins, this.known] = [[], [], [], [], false]
  }
}

export const directory = new Directory()
