// Where the person is: the path, and moving without loading the page again.
class Place {
  path = $state(location.pathname)
  query = $state(location.search)

  constructor() {
    addEventListener('popstate', () => this.#read())
  }

  #read(): void {
    this.path = location.pathname
    this.query = location.search
  }

  go(path: string, replace = false): void {
    history[replace ? 'replaceState' : 'pushState'](null, '', path)
    this.#read()
  }

  /** What is on screen has this address from now on; it stays as it is. */
  rename(path: string): void {
    history.replaceState(null, '', path)
  }
}

export const place = new Place()

let tenant = ''
export function setTenant(id: string): void {
  tenant = id
}

/** The full path of a screen of this tenant. */
export function to(screen: string): string {
  return `/app/${tenant}/${screen}`
}

/** The parts behind the tenant. */
export function parts(path: string): string[] {
  return path.split('/').filter(Boolean).slice(2)
}

/** For the page's root: clicks on links to our own screens do not load the page again. */
export function follow(event: MouseEvent): void {
  const link = (event.target as Element | null)?.closest?.('a')
  const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey
  if (!link || !isPlain || event.defaultPrevented || link.target || link.hasAttribute('download')) return
  if (link.origin !== location.origin || !link.pathname.startsWith('/app/')) return
  event.preventDefault()
  if (link.pathname !== location.pathname || link.search !== location.search) place.go(link.pathname + link.search)
}
