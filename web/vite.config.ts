import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

// `npm run dev` shows the page over a running situ (or over test/server.mjs): SITU_URL names it.
const backend = process.env.SITU_URL ?? 'http://127.0.0.1:8080';
const paths = ['/v1', '/tiles', '/live', '/healthz'];

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2022',
    // Nothing may be inlined as data: or as a script in the page: the content security policy forbids both.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1200,
    sourcemap: false,
    // The bundle carries the work of others: their licences go with it.
    license: { fileName: 'licenses.md' },
    // MapLibre changes rarely: its own file stays in the browser's cache when the page is rebuilt.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: 'maplibre', test: /node_modules.(maplibre-gl|@mapbox|@maplibre)/ }] } } },
  },
  worker: { format: 'es' },
  server: { host: '127.0.0.1', proxy: Object.fromEntries(paths.map((p) => [p, { target: backend }])) },
});
