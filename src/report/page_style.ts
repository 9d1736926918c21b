/**
 * The pages' style: light and dark, narrow and wide. In both schemes text has a contrast of at
 * least 4.5 to its background, and the machines' lines and signs at least 3 (WCAG 2.2, 1.4.3 and
 * 1.4.11). A test computes the contrasts from the colors below.
 */

/** Colors by CSS name. */
export const PALETTE: Readonly<Record<"light" | "dark", Readonly<Record<string, string>>>> = {
  light: {
    ground: "#f6f7f9",
    surface: "#ffffff",
    ink: "#16202c",
    soft: "#4a5868",
    rule: "#d5dbe3",
    link: "#0b57b0",
    band: "#e8ecf1",
    good: "#0c7a43",
    bad: "#c0262d",
    unsure: "#8a5a00",
    faint: "#5b6878",
    m0: "#1f6fd6",
    m1: "#c9520a",
    m2: "#0f8a6d",
    m3: "#a63a9e",
    m4: "#7d7400",
    m5: "#c22e54",
    m6: "#4b7d1e",
    m7: "#6650c4",
    heat0: "#d2efdd",
    heat1: "#e7f3e3",
    heat2: "#f7f1d8",
    heat3: "#fae6d3",
    heat4: "#f9dcda",
  },
  dark: {
    ground: "#0f141a",
    surface: "#181f28",
    ink: "#e8edf3",
    soft: "#aab6c4",
    rule: "#35404e",
    link: "#7db8ff",
    band: "#252e3a",
    good: "#5fd394",
    bad: "#ff8a85",
    unsure: "#f0bb55",
    faint: "#9fadbd",
    m0: "#62a8ff",
    m1: "#ff9a54",
    m2: "#3fcfa8",
    m3: "#e58cdd",
    m4: "#d6c93f",
    m5: "#ff8299",
    m6: "#97cf5c",
    m7: "#a99af5",
    heat0: "#173f2b",
    heat1: "#213826",
    heat2: "#3b361d",
    heat3: "#432f1d",
    heat4: "#472423",
  },
};

function variables(scheme: "light" | "dark"): string {
  return Object.entries(PALETTE[scheme]).map(([name, value]) => `--${name}:${value}`).join(";");
}

/** The style sheet. */
export const PAGE_STYLE = `
:root{color-scheme:light dark;${variables("light")}}
@media (prefers-color-scheme:dark){:root{${variables("dark")}}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-padding-top:3.4rem}
@media (prefers-reduced-motion:no-preference){html{scroll-behavior:smooth}}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
a{color:var(--link)}
:focus-visible{outline:3px solid var(--link);outline-offset:2px;border-radius:3px}
.skip{position:absolute;left:-999px}
.skip:focus{left:1rem;top:.5rem;background:var(--surface);padding:.4rem .8rem;z-index:9}
header,main,footer{max-width:1240px;margin:0 auto;padding:0 clamp(.9rem,3vw,2rem)}
header{padding-top:2rem}
h1{font-size:clamp(1.5rem,4vw,2.15rem);line-height:1.2;margin:0 0 .4rem;letter-spacing:-.015em;text-wrap:balance}
h2{font-size:1.3rem;margin:0 0 .3rem;letter-spacing:-.01em}
h3{font-size:1rem;margin:0}
h3 .unit{font-weight:400;color:var(--soft)}
p{margin:.3rem 0 .8rem;max-width:75ch}
.lead{font-size:1.08rem;max-width:80ch}
.soft,.meta{color:var(--soft)}
.meta{font-size:.9rem;max-width:none}
nav{position:sticky;top:0;z-index:5;background:var(--ground);border-bottom:1px solid var(--rule);margin-top:1rem}
nav ul{max-width:1240px;margin:0 auto;padding:.15rem clamp(.5rem,2.6vw,1.6rem);display:flex;gap:.2rem;list-style:none;overflow-x:auto;scrollbar-width:thin}
nav a{display:block;padding:.55rem .6rem;white-space:nowrap;text-decoration:none;font-size:.94rem}
nav a:hover{text-decoration:underline}
section{margin:2rem 0}
.card{background:var(--surface);border:1px solid var(--rule);border-radius:12px;padding:1rem clamp(.8rem,2vw,1.25rem)}
.card+.card{margin-top:.9rem}
:is(.grid,.machines,.pictures,.verdicts)>.card{margin-top:0}
.machines{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,205px),1fr));gap:.8rem;list-style:none;padding:0;margin:1.1rem 0}
.machines>li{max-width:26rem}
.machines h3{display:flex;align-items:baseline;gap:.45rem;font-size:1.05rem;overflow-wrap:anywhere}
.machines dl{display:grid;grid-template-columns:1fr auto;gap:.1rem .4rem;margin:.5rem 0 0;font-size:.88rem}
.machines dt{color:var(--soft)}
.machines dd{margin:0;white-space:nowrap;text-align:right;font-variant-numeric:tabular-nums}
.machines p{margin:.1rem 0 0;font-size:.88rem;overflow-wrap:anywhere}
.machines .big{font-size:1.5rem;font-weight:650;line-height:1.15;margin:.5rem 0 0;letter-spacing:-.02em;font-variant-numeric:tabular-nums}
.machines .big small{font-size:.85rem;font-weight:400;color:var(--soft);letter-spacing:0}
.sign{width:.85em;height:.85em;flex:none;position:relative;top:.08em;overflow:visible}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.1rem;list-style:none;padding:0;margin:.4rem 0 .7rem;font-size:.92rem}
.legend li{display:flex;align-items:baseline;gap:.4rem;overflow-wrap:anywhere}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,360px),1fr));gap:.9rem;align-items:start}
.grid .card{padding:.9rem 1rem .6rem}
figure{margin:0}
.pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:.9rem;align-items:start}
.pictures>figure{max-width:640px}
@media (min-width:920px){.pictures>figure:last-child:nth-child(odd){grid-column:1/-1;justify-self:center;width:calc(50% - .45rem)}}
.plot{display:block;width:100%;height:auto;overflow:visible;font-family:inherit;--plot-background:var(--surface)}
.plot text{white-space:pre}
.narrow{display:none}
@media (max-width:640px){.wide{display:none}.narrow{display:block}}
.scroll{overflow-x:auto;-webkit-overflow-scrolling:touch;border-radius:8px}
.scroll,nav ul{--edge:color-mix(in srgb,var(--ink) 30%,transparent);--under:var(--surface);background:linear-gradient(90deg,var(--under) 30%,transparent) 0 0/2.6rem 100% no-repeat local,linear-gradient(-90deg,var(--under) 30%,transparent) 100% 0/2.6rem 100% no-repeat local,linear-gradient(90deg,var(--edge),transparent) 0 0/.8rem 100% no-repeat scroll,linear-gradient(-90deg,var(--edge),transparent) 100% 0/.8rem 100% no-repeat scroll}
nav ul{--under:var(--ground)}
table{border-collapse:collapse;font-size:.88rem;min-width:100%;font-variant-numeric:tabular-nums}
caption{text-align:left;width:min(80ch,100vw - 4.4rem,90vw - 4px);color:var(--soft);padding:.1rem 0 .5rem;font-size:.92rem}
th,td{padding:.38rem .42rem;border-bottom:1px solid var(--rule);text-align:left;vertical-align:top}
td:is(.unsure,.bad):last-child{min-width:15rem}
@media (max-width:900px){th,td{white-space:nowrap}}
thead th{color:var(--soft);font-weight:600;vertical-align:bottom;border-bottom-width:2px}
tbody th{font-weight:600}
[data-align=right]{text-align:right}
tbody tr:hover>*{background-image:linear-gradient(var(--band),var(--band));background-blend-mode:multiply}
.good{color:var(--good);font-weight:600}.bad{color:var(--bad);font-weight:600}.unsure{color:var(--unsure)}.faint{color:var(--faint)}
.matrix thead th{white-space:normal;min-width:6.5rem;max-width:10rem;overflow-wrap:break-word}
.matrix td{text-align:right;border-left:2px solid var(--surface)}
.matrix td b{display:block;font-weight:600}
.matrix td small{font-size:.8rem;color:var(--soft)}
.card.table{margin-top:.9rem}
:is(.matrix,.pair,.table) tbody th{position:sticky;left:0;background:var(--surface);z-index:1}
.matrix th small,.pair th small{display:block;font-weight:400;color:var(--soft)}
@media (max-width:640px){:is(.matrix,.pair,.table) tbody th{white-space:normal;max-width:9.5rem;font-size:.82rem}}
.heat0{background:var(--heat0)}.heat1{background:var(--heat1)}.heat2{background:var(--heat2)}.heat3{background:var(--heat3)}.heat4{background:var(--heat4)}
.matrix td[class^=heat] small{color:var(--ink)}
tfoot th,tfoot td{border-bottom:0;border-top:2px solid var(--rule);font-weight:600}
details{margin:.5rem 0 .2rem;font-size:.92rem}
summary{cursor:pointer;color:var(--link);padding:.25rem 0}
.remarks{padding-left:1.6rem;margin:.3rem 0;overflow-wrap:anywhere}
.notes{border-left:4px solid var(--unsure);padding:.6rem 1rem;background:var(--surface);border-radius:0 8px 8px 0;margin:1rem 0}
.notes ul{margin:.2rem 0;padding-left:1.1rem}
.notes li{overflow-wrap:anywhere}
.tally{display:flex;flex-wrap:wrap;gap:.4rem 1.3rem;list-style:none;padding:0;margin:.4rem 0;font-size:1.02rem}
.key{display:inline-block;color:var(--ink);padding:0 .45rem;border-radius:4px;margin-right:.2rem}
footer{padding-top:1rem;padding-bottom:2.5rem;color:var(--soft);font-size:.9rem}
@media print{nav,.skip{display:none}body{background:#fff}.card{break-inside:avoid}}
`.trim();
