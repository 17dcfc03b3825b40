// How the console becomes static files: hashed names, nothing inline, and a packed copy of each for browsers.
import { gzipSync } from 'node:zlib'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vitest/config'

const OUT = 'dist/app'
/** The server behind `vite dev` and `vite preview`. */
const SERVER = process.env.POINTSMAN_URL ?? 'http://127.0.0.1:8080'

function packed() {
  return {
    name: 'packed',
    closeBundle() {
      const files = ['index.html', ...readdirSync(join(OUT, 'assets')).map((name) => join('assets', name))]
      for (const file of files.filter((name) => /\.(js|css|html|svg)$/.test(name))) {
        writeFileSync(join(OUT, `${file}.gz`), gzipSync(readFileSync(join(OUT, file)), { level: 9 }))
      }
    }
  }
}

export default defineConfig({
  base: '/app/',
  plugins: [svelte(), packed()],
  build: {
    outDir: OUT,
    target: 'es2022',
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false }
  },
  server: { proxy: { '/api': SERVER } },
  test: { include: ['src/**/*.test.ts'] }
})
