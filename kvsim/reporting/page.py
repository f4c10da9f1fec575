"""Style sheet and script of the report page. Nothing here depends on the run."""

from __future__ import annotations

STYLE = """
:root{--ink:#1f2933;--quiet:#5b6875;--line:#dfe5eb;--paper:#fff;--ground:#f4f6f8}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 Inter,system-ui,-apple-system,
"Segoe UI",Roboto,"Liberation Sans",Arial,sans-serif}
main{max-width:1240px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:26px;margin:0 0 2px}h2{font-size:18px;margin:0 0 2px}
p{margin:0 0 8px}
.quiet,.how{color:var(--quiet)}.how{font-size:13.5px;max-width:130ch}
.verdict{font-size:17px;margin:14px 0 16px;max-width:120ch}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(250px,1fr));gap:12px;margin:0 0 20px}
.card,section{background:var(--paper);border:1px solid var(--line);border-radius:8px}
.card{padding:12px 16px}.card .name{font-size:13px;color:var(--quiet)}
.card .value{font-size:25px;font-weight:600;line-height:1.3}
.card .note{font-size:13px;color:var(--quiet)}
section{padding:16px 18px 10px;margin:0 0 18px}
.figure{width:100%}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:13.5px;margin:8px 0 10px;min-width:100%}
th,td{padding:4px 10px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap;
font-variant-numeric:tabular-nums}
th{color:var(--quiet);font-weight:600}th:first-child,td:first-child{text-align:left}
.empty{background:var(--ground);border-radius:6px;padding:14px 16px;margin:8px 0}
#tip{position:fixed;display:none;pointer-events:none;z-index:10;background:#fff;border:1px solid #9aa5b1;
border-radius:3px;padding:4px 8px;font-size:12px;line-height:1.35;box-shadow:0 1px 4px rgba(0,0,0,.15)}
@media print{body{background:#fff}section,.card{break-inside:avoid}}
"""

PLOT = """
var kvsim={};
function kvsimPlot(id,figure){
  "use strict";
  var segments=figure.data.filter(function(trace){return trace.type==="scattergl";});
  if(segments.length)kvsim.prepare(id,figure,segments);
  Plotly.newPlot(id,figure.data,figure.layout,{responsive:true,displaylogo:false,showSendToCloud:false,
    plotlyServerURL:"",modeBarButtonsToRemove:["select2d","lasso2d","autoScale2d"]});
}

// A hundred thousand WebGL line segments take plotly seven seconds to draw and three to zoom, where there is
// WebGL at all. So the page keeps them and gives plotly only what the screen can show, as plain lines: all
// while they are few; where a row is denser than its pixels, one colour a pixel, dithered so that each colour
// has its true share of the time.
(function(){
  "use strict";
  var types={f8:Float64Array,f4:Float32Array,u1:Uint8Array,i1:Int8Array,u2:Uint16Array,i2:Int16Array,
    u4:Uint32Array,i4:Int32Array};
  function decode(packed){
    if(!packed.bdata)return packed;
    var text=atob(packed.bdata),bytes=new Uint8Array(text.length);
    for(var i=0;i<text.length;i++)bytes[i]=text.charCodeAt(i);
    return new types[packed.dtype](bytes.buffer);
  }

  kvsim.prepare=function(id,figure,traces){
    var slots=figure.layout.meta.titles.map(function(){return [];});
    kvsim.traces=traces.map(function(trace,which){
      var x=decode(trace.x),y=decode(trace.y),count=y.length/3;
      for(var i=0;i<count;i++)slots[y[3*i]].push([x[3*i],x[3*i+1],which,i]);
      var kept={name:trace.name,kind:trace.meta,detail:decode(trace.customdata),
        number:figure.data.indexOf(trace)};
      trace.type="scatter";
      delete trace.customdata;
      return kept;
    });
    slots.forEach(function(list){list.sort(function(a,b){return a[0]-b[0];});});
    kvsim.slots=slots;
    var range=figure.layout.xaxis.range,margin=figure.layout.margin,element=document.getElementById(id);
    var drawing=kvsim.draw(range,Math.max(300,element.clientWidth-margin.l-margin.r));
    traces.forEach(function(trace,which){trace.x=drawing.x[which];trace.y=drawing.y[which];});
  };

  // Lines for the given range of time and half as much again on both sides, so that panning finds something.
  kvsim.draw=function(range,width){
    var span=range[1]-range[0],low=range[0]-span/2,high=range[1]+span/2,pixel=span/width;
    var x=kvsim.traces.map(function(){return [];}),y=kvsim.traces.map(function(){return [];});
    function put(trace,slot,start,end){x[trace].push(start,end,NaN);y[trace].push(slot,slot,slot);}
    // A trace without points would leave the legend.
    kvsim.traces.forEach(function(trace,which){put(which,0,NaN,NaN);});
    kvsim.slots.forEach(function(list,slot){
      var seen=list.filter(function(item){return item[0]<high&&item[1]>low;});
      if(seen.length*pixel<=0.5*(high-low))
        seen.forEach(function(item){put(item[2],slot,item[0],Math.max(item[1],item[0]+0.8*pixel));});
      else dither(seen,low,high,pixel,function(trace,start,end){put(trace,slot,start,end);});
    });
    return {x:x.map(function(list){return new Float64Array(list);}),
      y:y.map(function(list){return new Uint8Array(list);})};
  };

  // One colour a pixel by error diffusion along the row; the last colour means none.
  function dither(seen,low,high,pixel,put){
    var bins=Math.ceil((high-low)/pixel),colours=kvsim.traces.length+1,none=colours-1;
    var cover=new Float64Array(bins*colours),owed=new Float64Array(colours),bin,colour;
    seen.forEach(function(item){
      var start=Math.max((item[0]-low)/pixel,0),end=Math.min((item[1]-low)/pixel,bins);
      for(var k=Math.floor(start);k<end;k++)
        cover[k*colours+item[2]]+=Math.min(end,k+1)-Math.max(start,k);
    });
    var run=none,begin=0;
    function close(at){if(run!==none)put(run,low+begin*pixel,low+at*pixel);}
    for(bin=0;bin<bins;bin++){
      var rest=1,best=none,whole=-1;
      for(colour=0;colour<none;colour++){
        var share=cover[bin*colours+colour];
        rest-=share;
        owed[colour]+=share;
        if(share>0.999)whole=colour;
      }
      if(whole>=0){owed.fill(0);best=whole;}
      else{
        owed[none]+=Math.max(rest,0);
        for(colour=0;colour<none;colour++)if(owed[colour]>owed[best])best=colour;
        owed[best]-=1;
      }
      if(best!==run){close(bin);run=best;begin=bin;}
    }
    close(bins);
  }
})();
"""

SCRIPT = """
(function(){
  "use strict";
  var timeline=document.getElementById("timeline"),tiers=document.getElementById("tiers");
  if(!timeline||!timeline._fullLayout)return;

  function zoomed(change){
    return Object.keys(change).some(function(key){return key.indexOf("xaxis")===0||key==="autosize";});
  }
  // Zooming the timeline zooms the tiers, and the other way round.
  function follow(from,to){
    from.on("plotly_relayout",function(change){
      if(from.kvsimQuiet||!zoomed(change))return;
      to.kvsimQuiet=true;
      Plotly.relayout(to,{"xaxis.range":from._fullLayout.xaxis.range.slice()}).then(function(){
        to.kvsimQuiet=false;
      });
    });
  }
  if(tiers&&tiers._fullLayout){follow(timeline,tiers);follow(tiers,timeline);}
  if(!kvsim.traces)return;

  timeline.on("plotly_relayout",function(change){
    if(!zoomed(change))return;
    var axis=timeline._fullLayout.xaxis,drawing=kvsim.draw(axis.range,axis._length);
    Plotly.restyle(timeline,drawing,kvsim.traces.map(function(trace){return trace.number;}));
  });

  // Details under the pointer: plotly itself knows only the end points of a line.
  var meta=timeline._fullLayout.meta;
  function significant(value){return Number(value.toPrecision(3)).toLocaleString("en");}
  function duration(seconds){
    var units=[[1,"s"],[1e-3,"ms"],[1e-6,"\\u00b5s"],[1e-9,"ns"],[1e-12,"ps"]];
    if(seconds<5e-13)return "0 s";
    for(var k=0;k<units.length;k++)
      if(seconds>=units[k][0]*(1-1e-9)||k===4)return significant(seconds/units[k][0])+" "+units[k][1];
  }
  function size(bytes){
    var names=["B","KiB","MiB","GiB","TiB"],k=0;
    while(bytes>=1024&&k<4){bytes/=1024;k++;}
    return significant(bytes)+" "+names[k];
  }
  function find(list,x,slack){
    var low=0,high=list.length;
    while(low<high){var mid=(low+high)>>1;if(list[mid][0]<=x+slack)low=mid+1;else high=mid;}
    for(var k=low-1;k>=0&&k>=low-4;k--){
      var trace=timeline._fullData[kvsim.traces[list[k][2]].number];
      if(list[k][1]>=x-slack&&trace.visible===true)return list[k];
    }
    return null;
  }
  function describe(item,slot){
    var trace=kvsim.traces[item[2]],detail=trace.detail.subarray(5*item[3],5*item[3]+5),lines=[];
    var step=detail[0],page=detail[1],pages=detail[2],kind=trace.kind;
    lines.push(kind==="step"?"step "+step:kind==="compute"?"compute, step "+step+", layer "+page:
      kind==="stall"?"waits: "+trace.name:trace.name+" on "+meta.titles[slot]);
    if(kind!=="step"&&kind!=="compute"&&pages>=0)
      lines.push((!pages?"weights":pages===1?"page "+page:"pages "+page+" to "+(page+pages-1))+
        " \\u00b7 "+size(detail[3])+" \\u00b7 step "+step);
    if(kind==="transfer")lines.push("queued "+duration(detail[4]*1e-12));
    lines.push(Number(item[0].toPrecision(8))+" to "+Number(item[1].toPrecision(8))+" "+meta.unit+" ("+
      duration((item[1]-item[0])*meta.unit_s)+")");
    return lines;
  }

  var tip=document.createElement("div");
  tip.id="tip";
  document.body.appendChild(tip);
  timeline.addEventListener("mousemove",function(event){
    var full=timeline._fullLayout,box=timeline.getBoundingClientRect(),xaxis=full.xaxis,yaxis=full.yaxis;
    var px=event.clientX-box.left-xaxis._offset,py=event.clientY-box.top-yaxis._offset,found=null,slot=-1;
    if(event.buttons===0&&px>=0&&px<=xaxis._length&&py>=0&&py<=yaxis._length){
      slot=Math.round(yaxis.p2d(py));
      if(kvsim.slots[slot])found=find(kvsim.slots[slot],xaxis.p2d(px),2*Math.abs(xaxis.p2d(1)-xaxis.p2d(0)));
    }
    if(!found){tip.style.display="none";return;}
    tip.textContent="";
    describe(found,slot).forEach(function(line,k){
      var row=document.createElement(k?"div":"b");
      row.textContent=line;
      tip.appendChild(row);
    });
    tip.style.display="block";
    tip.style.left=Math.min(event.clientX+14,window.innerWidth-tip.offsetWidth-8)+"px";
    tip.style.top=Math.min(event.clientY+14,window.innerHeight-tip.offsetHeight-8)+"px";
  });
  timeline.addEventListener("mouseleave",function(){tip.style.display="none";});
})();
"""
