// OpenAI's official client.

import OpenAI from 'openai'
import { BROKE_KEY, KEY, URL, USER, openaiScenarios, report } from './scenarios.mjs'

const client = (apiKey) => new OpenAI({ baseURL: `${URL}/v1`, apiKey })

await report(openaiScenarios(client(KEY), client(BROKE_KEY), { user: USER }))
