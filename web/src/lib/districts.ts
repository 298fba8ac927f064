// Names of Chongqing's districts and counties for people who read Latin letters, by division code, and the short
// Chinese form that fits on a map. The server knows the official Chinese names only.

const latin: Record<string, string> = {
  500101: 'Wanzhou',
  500102: 'Fuling',
  500103: 'Yuzhong',
  500104: 'Dadukou',
  500105: 'Jiangbei',
  500106: 'Shapingba',
  500107: 'Jiulongpo',
  500108: "Nan'an",
  500109: 'Beibei',
  500110: 'Qijiang',
  500111: 'Dazu',
  500112: 'Yubei',
  500113: 'Banan',
  500114: 'Qianjiang',
  500115: 'Changshou',
  500116: 'Jiangjin',
  500117: 'Hechuan',
  500118: 'Yongchuan',
  500119: 'Nanchuan',
  500120: 'Bishan',
  500151: 'Tongliang',
  500152: 'Tongnan',
  500153: 'Rongchang',
  500154: 'Kaizhou',
  500155: 'Liangping',
  500156: 'Wulong',
  500228: 'Liangping',
  500229: 'Chengkou',
  500230: 'Fengdu',
  500231: 'Dianjiang',
  500232: 'Wulong',
  500233: 'Zhongxian',
  500234: 'Kaizhou',
  500235: 'Yunyang',
  500236: 'Fengjie',
  500237: 'Wushan',
  500238: 'Wuxi',
  500240: 'Shizhu',
  500241: 'Xiushan',
  500242: 'Youyang',
  500243: 'Pengshui',
};

/** 石柱土家族自治县 -> 石柱, 渝北区 -> 渝北; two-letter names keep their 县. */
export function shortName(name: string): string {
  const bare = name.replace(/(土家族|苗族)+自治县$/, '');
  return bare.length > 2 ? bare.replace(/[区县]$/, '') : bare;
}

/** The name of a division in a language; a code nobody has Latin letters for keeps its Chinese name. */
export function divisionName(code: string, name: string, lang: 'zh' | 'en', short = false): string {
  if (lang === 'en' && latin[code]) return latin[code];
  return short ? shortName(name) : name;
}
